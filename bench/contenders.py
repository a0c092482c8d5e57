# SPDX-License-Identifier: Apache-2.0
"""Programs that show a writable image as a file, each started afresh for one measurement.

A contender is a context manager: inside, `file` is what to read and write, `processes()` are those
that do its work. Whatever happens, its mount and its processes are gone afterwards.
"""
import os
import pathlib
import signal
import socket
import subprocess
import time

PATIENCE = 30  # seconds for a mount or a server to come up, and for one to go away


class Failure(Exception):
    """A line for people: a contender or a measurement did not work."""


def wait_until(what, process, condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        if process.poll() is not None:
            raise Failure(f"{what} ended with status {process.returncode} before it was ready")
        if time.monotonic() > end:
            raise Failure(f"{what} was not ready after {PATIENCE} seconds")
        time.sleep(0.01)


def end_process(process):
    """Asks it to end, and sees to it."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def port_answers(port):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_mounted(path):
    try:
        return os.stat(path).st_dev != os.stat(pathlib.Path(path).parent).st_dev
    except OSError:
        return False


def unmount(path):
    subprocess.run(["fusermount3", "-u", "-q", path], check=False, timeout=PATIENCE)
    if is_mounted(path):
        subprocess.run(["fusermount3", "-u", "-q", "-z", path], check=False, timeout=PATIENCE)


def descendants(pid):
    """The process and all that it started."""
    children = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        children += [int(child) for child in task.read_text().split()]
    return [pid] + [each for child in children for each in descendants(child)]


class Contender:
    """What they have in common. `place` offers: work (a folder), tools (of built programs),
    image_bytes, dnbd3_port and nbd_port."""

    name = ""
    reads_base = True  # whether it shows the served image; else a local file of the same size

    def __init__(self, place):
        self.place = place
        self.folder = place.work / "mnt"
        self.file = self.folder / "img"
        self.mounted_at = self.folder
        self.process = None
        self.log = None

    def __enter__(self):
        self.folder.mkdir(exist_ok=True)
        self.log = open(self.place.work / "contender.log", "w+", encoding="utf-8")
        try:
            self.process = self.start()
            wait_until(self.name, self.process, self.is_ready)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if is_mounted(self.mounted_at):
            unmount(self.mounted_at)
        if self.process is not None:
            end_process(self.process)
        if is_mounted(self.mounted_at):
            unmount(self.mounted_at)
        self.log.close()
        self.clean()

    def is_ready(self):
        return (is_mounted(self.mounted_at) and self.file.exists()
                and self.file.stat().st_size == self.place.image_bytes)

    def run(self, *command, **more):
        return subprocess.Popen([str(word) for word in command], stdout=self.log,
                                stderr=self.log, stdin=subprocess.DEVNULL, **more)

    def processes(self):
        return descendants(self.process.pid)

    def start(self):
        raise NotImplementedError

    def clean(self):
        """Removes what it left in the folder."""


class Floor(Contender):
    """A libfuse file over a local file, see floor_file.cpp."""

    name = "floor"
    reads_base = False

    def start(self):
        backing = self.place.work / "floor.raw"
        with open(backing, "wb") as file:
            file.truncate(self.place.image_bytes)
        return self.run(self.place.tools / "bench/floor_file", backing, self.folder)

    def clean(self):
        (self.place.work / "floor.raw").unlink(missing_ok=True)


class Netcow(Contender):
    name = "netcow"

    def start(self):
        return self.run(self.place.tools / "netcow", "mount", "-f", "-S",
                        "-h", f"127.0.0.1:{self.place.dnbd3_port}", "-i", "bench", "-r", "1",
                        "-c", self.place.work / "session", self.folder)

    def clean(self):
        subprocess.run(["rm", "-rf", str(self.place.work / "session")], check=True)


class Qemu(Contender):
    """qemu-storage-daemon: a qcow2 overlay over NBD, exported by FUSE."""

    name = "qemu"

    def __init__(self, place):
        super().__init__(place)
        self.mounted_at = self.file

    def start(self):
        overlay = self.place.work / "overlay.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw",
                        "-b", f"nbd://127.0.0.1:{self.place.nbd_port}", str(overlay)],
                       check=True, stdout=self.log, stderr=self.log)
        self.file.write_bytes(b"")
        return self.run("qemu-storage-daemon",
                        "--blockdev", "driver=qcow2,node-name=disk,file.driver=file,"
                        f"file.filename={overlay}",
                        "--export", f"type=fuse,id=file,node-name=disk,mountpoint={self.file},"
                        "writable=on")

    def clean(self):
        (self.place.work / "overlay.qcow2").unlink(missing_ok=True)
        self.file.unlink(missing_ok=True)


class Nbdfuse(Contender):
    """nbdfuse over nbdkit's cow filter, which keeps changes in a temporary file and makes
    nothing durable: an fsync costs it nothing."""

    name = "nbdfuse"

    def start(self):
        # An option of its own for each, or nbdfuse takes the rest for its own.
        return self.run("nbdfuse", self.file, "[", "nbdkit", "--exit-with-parent",
                        "--filter=cow", "nbd", "hostname=127.0.0.1",
                        f"port={self.place.nbd_port}", "]",
                        env={**os.environ, "TMPDIR": str(self.place.work)})


ALL = {each.name: each for each in (Floor, Netcow, Qemu, Nbdfuse)}


class Servers:
    """The image of `place`, exported by netcow and by nbdkit, and proxies that make the way to
    both longer."""

    def __init__(self, place):
        self.place = place
        self.running = []
        self.ports = {}

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in reversed(self.running):
            if process.stdin is not None:
                process.stdin.close()  # a proxy ends with its standard input
            end_process(process)

    def start(self):
        images = self.place.work / "images"
        blocks, http, nbd = free_port(), free_port(), free_port()
        self.launch("netcow serve", blocks, self.place.tools / "netcow", "serve",
                    "--images", images, "--state", self.place.work / "state",
                    "--listen", f"127.0.0.1:{blocks}", "--http", f"127.0.0.1:{http}")
        self.launch("nbdkit", nbd, "nbdkit", "--foreground", "--readonly",
                    "--ipaddr", "127.0.0.1", "--port", nbd, "file", images / "bench.r1")
        self.ports = {0: (blocks, nbd)}

    def launch(self, what, port, *command):
        process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        self.running.append(process)
        wait_until(what, process, lambda: port_answers(port))

    def move_away(self, delay):
        """From now on contenders reach the servers with so many milliseconds of round trip more."""
        if delay not in self.ports:
            self.ports[delay] = tuple(self.proxy(port, delay) for port in self.ports[0])
        self.place.dnbd3_port, self.place.nbd_port = self.ports[delay]

    def proxy(self, port, delay):
        process = subprocess.Popen(
            [str(self.place.tools / "bench/delay_proxy"), "--server", str(port),
             "--round-trip", str(delay)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.running.append(process)
        return int(process.stdout.readline())


def interrupt_as_exception():
    """Lets a SIGTERM clean up as Ctrl-C does."""
    def stop(*_):
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, stop)
