"""A desk for one window: a screen of its own (Xvfb), a session bus with accessibility, the services of a desktop
that the window talks to, and hands and eyes: xdotool presses keys, AT-SPI reads what a screen reader would say."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "blackbox"))
from harness import BUILD, Process, environment, scaled  # noqa: E402

WINDOW = os.path.join(BUILD, "p2p-client-gtk")
SOON = 20.0  # seconds: GTK starts slowly on a busy machine


def missing():
    """None, or what this machine lacks for these tests."""
    if not os.access(WINDOW, os.X_OK):
        return "p2p-client-gtk is not built (make says why)"
    for program in ("Xvfb", "dbus-daemon", "xdotool"):
        if shutil.which(program) is None:
            return "%s is not installed (scripts/install-deps.sh gui)" % program
    if not os.path.exists("/usr/share/dbus-1/services/org.a11y.Bus.service"):
        return "at-spi2-core is not installed (scripts/install-deps.sh gui)"
    try:
        import gi
        gi.require_version("Atspi", "2.0")
    except (ImportError, ValueError):
        return "python3-gi or gir1.2-atspi-2.0 is not installed (scripts/install-deps.sh gui)"
    return None


# What the window asks of a desktop: is it dark, and please show this notification.
SERVICES = """
<node>
  <interface name="org.freedesktop.portal.Settings">
    <method name="Read"><arg type="s" direction="in"/><arg type="s" direction="in"/><arg type="v" direction="out"/></method>
    <method name="ReadAll"><arg type="as" direction="in"/><arg type="a{sa{sv}}" direction="out"/></method>
    <signal name="SettingChanged"><arg type="s"/><arg type="s"/><arg type="v"/></signal>
  </interface>
  <interface name="org.freedesktop.Notifications">
    <method name="GetCapabilities"><arg type="as" direction="out"/></method>
    <method name="GetServerInformation"><arg type="s" direction="out"/><arg type="s" direction="out"/>
      <arg type="s" direction="out"/><arg type="s" direction="out"/></method>
    <method name="Notify"><arg type="s" direction="in"/><arg type="u" direction="in"/><arg type="s" direction="in"/>
      <arg type="s" direction="in"/><arg type="s" direction="in"/><arg type="as" direction="in"/>
      <arg type="a{sv}" direction="in"/><arg type="i" direction="in"/><arg type="u" direction="out"/></method>
    <method name="CloseNotification"><arg type="u" direction="in"/></method>
  </interface>
</node>
"""
SCHEME = ("org.freedesktop.appearance", "color-scheme")


class Desktop:
    """The two services, on a thread of their own."""

    def __init__(self, address):
        from gi.repository import Gio, GLib
        self.Gio, self.GLib = Gio, GLib
        self.dark = False
        self.shown = []  # (title, body) of each notification
        self.ready = threading.Event()
        self.thread = threading.Thread(target=self._serve, args=(address,), daemon=True)
        self.thread.start()
        self.ready.wait()

    def _serve(self, address):
        Gio, GLib = self.Gio, self.GLib
        context = GLib.MainContext.new()
        context.push_thread_default()
        flags = Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION
        self.bus = Gio.DBusConnection.new_for_address_sync(address, flags, None, None)
        self.bus.set_exit_on_close(False)
        for interface, path in zip(Gio.DBusNodeInfo.new_for_xml(SERVICES).interfaces,
                                   ("/org/freedesktop/portal/desktop", "/org/freedesktop/Notifications")):
            self.bus.register_object(path, interface, self._called, None, None)
        for name in ("org.freedesktop.portal.Desktop", "org.freedesktop.Notifications"):
            self.bus.call_sync("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "RequestName",
                               GLib.Variant("(su)", (name, 0)), None, 0, -1, None)
        self.loop = GLib.MainLoop.new(context, False)
        self.ready.set()
        self.loop.run()

    def _scheme(self):
        return self.GLib.Variant("u", 1 if self.dark else 2)

    def _called(self, connection, sender, path, interface, method, arguments, call):
        Variant = self.GLib.Variant
        if method == "Read" and arguments.unpack() == SCHEME:
            call.return_value(Variant("(v)", (Variant("v", self._scheme()),)))
        elif method == "ReadAll":
            call.return_value(Variant("(a{sa{sv}})", ({SCHEME[0]: {SCHEME[1]: self._scheme()}},)))
        elif method == "GetCapabilities":
            call.return_value(Variant("(as)", (["body", "actions"],)))
        elif method == "GetServerInformation":
            call.return_value(Variant("(ssss)", ("desk", "p2p", "1", "1.2")))
        elif method == "Notify":
            self.shown.append((arguments.unpack()[3], arguments.unpack()[4]))
            call.return_value(Variant("(u)", (len(self.shown),)))
        elif method == "CloseNotification":
            call.return_value(None)
        else:
            call.return_dbus_error("org.freedesktop.portal.Error.NotFound", "not here")

    def set_dark(self, dark):
        self.dark = dark
        value = self.GLib.Variant("(ssv)", (*SCHEME, self._scheme()))
        self.bus.emit_signal(None, "/org/freedesktop/portal/desktop", "org.freedesktop.portal.Settings",
                             "SettingChanged", value)

    def stop(self):
        self.loop.quit()
        self.thread.join()


class Desk:
    """Made once for all tests of a script."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="p2p-desk-")
        os.mkdir(os.path.join(self.folder, "gtk-4.0"))
        with open(os.path.join(self.folder, "gtk-4.0", "settings.ini"), "w") as f:
            f.write("[Settings]\ngtk-font-name=Cantarell 11\ngtk-enable-animations=0\ngtk-cursor-blink=0\n")
        read, write = os.pipe()
        self.screen = subprocess.Popen(["Xvfb", "-displayfd", str(write), "-screen", "0", "1000x800x24", "-nolisten",
                                        "tcp"], pass_fds=[write], stderr=subprocess.DEVNULL)
        os.close(write)
        with os.fdopen(read) as f:
            self.display = ":" + f.readline().strip()
        # The bus, and what it starts, must not outlive us: it is told to end in stop().
        self.bus = subprocess.Popen(["dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address"],
                                    env=self.environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.address = self.bus.stdout.readline().decode().strip()
        os.environ.update(self.environment())
        self.desktop = Desktop(self.address)
        import gi
        gi.require_version("Atspi", "2.0")
        from gi.repository import Atspi
        self.Atspi = Atspi
        Atspi.init()
        Atspi.set_timeout(int(scaled(5000)), int(scaled(15000)))
        self.root = Atspi.get_desktop(0)
        self.root.set_cache_mask(Atspi.Cache.NONE)

    def environment(self):
        env = environment(DISPLAY=self.display, GDK_BACKEND="x11", GSK_RENDERER="cairo", XDG_RUNTIME_DIR=self.folder,
                          HOME=self.folder, XDG_CACHE_HOME=self.folder, XDG_CONFIG_HOME=self.folder,
                          GSETTINGS_BACKEND="memory", NO_AT_BRIDGE="0")
        if hasattr(self, "address"):
            env["DBUS_SESSION_BUS_ADDRESS"] = self.address
        # What fontconfig, pango and GTK keep until the end is not ours to free.
        env["ASAN_OPTIONS"] = env.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
        return env

    def stop(self):
        self.desktop.stop()
        for process in (self.bus, self.screen):
            process.terminate()
            process.wait()
        self.bus.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Thing:
    """Something that a screen reader would find."""

    def __init__(self, window, at):
        self.window, self.at = window, at
        self.role = window.desk.Atspi.role_get_name(at.get_role())
        self.name = at.get_name() or ""

    def has(self, *states):
        held = self.at.get_state_set()
        return all(held.contains(getattr(self.window.desk.Atspi.StateType, s)) for s in states)

    def text(self):
        return self.window.desk.Atspi.Text.get_text(self.at, 0, -1)

    def click(self):
        self.at.do_action(0)

    def top_and_bottom(self):
        """In the window."""
        box = self.window.desk.Atspi.Component.get_extents(self.at, self.window.desk.Atspi.CoordType.WINDOW)
        return box.y, box.y + box.height

    def left_and_right(self):
        box = self.window.desk.Atspi.Component.get_extents(self.at, self.window.desk.Atspi.CoordType.WINDOW)
        return box.x, box.x + box.width

    def __repr__(self):
        return "%s '%s'" % (self.role, self.name)


class Window(Process):
    """p2p-client-gtk (or `argv`) on the desk."""

    def __init__(self, test, desk, *args, argv=None, **popen):
        self.desk = desk
        self.known, self.roots = [], []  # ids of windows, their accessibles
        super().__init__(test, argv or [WINDOW, *args], env=dict(desk.environment(), **popen.pop("env", {})),
                         stdin=subprocess.DEVNULL, **popen)
        test.remember(self)

    def _app(self):
        for i in range(self.desk.root.get_child_count()):
            app = self.desk.root.get_child_at_index(i)
            try:
                if app is not None and app.get_process_id() == self.pid:
                    app.set_cache_mask(self.desk.Atspi.Cache.NONE)  # nobody here runs the loop that keeps one fresh
                    return app
            except self._gone():
                continue  # one of another test, on its way out
        return None

    def _gone(self):
        from gi.repository import GLib
        return GLib.Error

    def _is_shown(self, thing):
        """GTK 4.8 tells no SHOWING of what is inside a window; what is not mapped has no size."""
        if thing.role in ("application", "frame"):
            return True
        if thing.name == "GtkStackPage":  # no widget, but what it holds is one
            return True
        box = self.desk.Atspi.Component.get_extents(thing.at, self.desk.Atspi.CoordType.WINDOW)
        return box.width > 0 and box.height > 0

    def _walk(self, at):
        try:
            thing = Thing(self, at)
            if not self._is_shown(thing):
                return
            yield thing
            for i in range(at.get_child_count()):
                child = at.get_child_at_index(i)
                if child is not None:
                    yield from self._walk(child)
        except self._gone():
            return  # it went while we looked

    def things(self):
        """All that is shown now. Each costs some messages on the bus, so whoever has enough stops."""
        for root in self.roots:
            yield from self._walk(root)

    def find(self, name, role=None):
        """Those whose name matches wholly."""
        return (t for t in self.things() if re.fullmatch(name, t.name, re.S) and (role is None or t.role == role))

    def see(self, name, role=None, timeout=SOON, when=lambda thing: True):
        def look():
            return next((t for t in self.find(name, role) if when(t)), None)
        try:
            return self.wait_until(look, "to see %s %r" % (role or "something", name), timeout)
        except AssertionError as e:
            raise AssertionError("%s\nthere is:\n  %s" % (e, "\n  ".join(map(str, self.things())))) from None

    def see_gone(self, name, role=None, timeout=SOON):
        self.wait_until(lambda: not any(self.find(name, role)), "%r to go" % name, timeout)

    # ---- hands ----

    def xdotool(self, *args):
        return subprocess.run(["xdotool", *args], env=self.desk.environment(), check=True, stdout=subprocess.PIPE,
                              timeout=scaled(SOON)).stdout.decode()

    def _windows(self):
        out = subprocess.run(["xdotool", "search", "--onlyvisible", "--pid", str(self.pid)],
                             env=self.desk.environment(), stdout=subprocess.PIPE).stdout
        return [i.decode() for i in out.split() if i.decode() not in self.known]

    def focus(self):
        """To its newest window, once it is there. GTK 4.8 crashes when it is asked for its windows while one opens or
        closes, so they are asked for here only: what is on the screen is open."""
        self.id = self.wait_until(self._windows, "a window", SOON)[0]
        self.known.append(self.id)
        self.xdotool("windowfocus", "--sync", self.id)
        app = self.wait_until(self._app, "it on the accessibility bus", SOON)
        self.roots = [app.get_child_at_index(i) for i in range(app.get_child_count())]

    def refocus(self):
        """A dialog is closed: back to the first window."""
        self.xdotool("windowfocus", "--sync", self.known[0])
        del self.known[1:], self.roots[1:]

    def unfocus(self):
        self.xdotool("mousemove", "990", "790")  # X11 counts what is under the pointer as focused, too
        self.xdotool("windowfocus", self.xdotool("search", "--maxdepth", "0", "--name", "").split()[0])

    def type(self, text):
        self.xdotool("type", "--delay", "4", "--", text)

    def key(self, *keys):
        self.xdotool("key", "--delay", "4", *keys)

    def picture(self, path):
        subprocess.run(["import", "-window", self.id, path], env=self.desk.environment(), check=True,
                       timeout=scaled(SOON))

    def brightness(self):
        """0 black to 1 white, of the middle of the window."""
        out = subprocess.run(["convert", "x:" + self.id, "-resize", "1x1!", "-colorspace", "Gray", "-format",
                              "%[fx:mean]", "info:"], env=self.desk.environment(), check=True, stdout=subprocess.PIPE,
                             timeout=scaled(SOON)).stdout
        return float(out)
