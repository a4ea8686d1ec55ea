#include "server/histogram.h"

void histogram_add(struct histogram *h, uint64_t value)
{
    int i = 0;
    while (i < HISTOGRAM_BOUNDS && value > h->bounds[i])
        i++;
    h->counts[i]++;
    h->sum += value;
}
