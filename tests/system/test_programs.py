#!/usr/bin/env python3
"""Programs of Debian, unchanged: what they do on a kernel with SCTP they do under `braid run`."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

from harness import Namespace, Stack, check, directory, join, main, run, wait_for_link

HOST = "127.0.0.1"
SCRIPTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "programs")


def stack():
    return Stack("--no-udp", capture=False)


# ---- lksctp-tools ----


def checksctp():
    braid = stack()
    check("SCTP supported" in braid.run("checksctp"), "checksctp does not find SCTP")
    braid.stop()


def sctp_test():
    """A one-to-many server and client, which send messages of sizes that it chooses: all arrive, and then the end."""
    braid = stack()
    server = braid.start("stdbuf", "-oL", "sctp_test", "-H", HOST, "-P", "5001", "-l", seconds=60)
    server.wait_for("Server: Receiving packets")
    client = braid.run("sctp_test", "-H", HOST, "-P", "5002", "-h", HOST, "-p", "5001", "-s", "-x", "5", "-c", "2")
    server.wait_for("SHUTDOWN_COMPLETE")
    sent = re.findall(r"sendmsg\(sk=\d+, assoc=\d+\) +(\d+) bytes", client)
    check(sent and sent == re.findall(r"Data (\d+) bytes", server.output()), client + server.end_of_output())
    server.stop()
    braid.stop()


def sctp_darn():
    """Two of them talk, by lines."""
    braid = stack()
    server = braid.start("stdbuf", "-oL", "sctp_darn", "-H", HOST, "-P", "5001", "-l", seconds=60)
    server.wait_for("sctp_darn listening")
    client = braid.start("stdbuf", "-oL", "sctp_darn", "-H", HOST, "-P", "5002", "-h", HOST, "-p", "5001", "-s", seconds=60)
    client.write("a line of darn\n")
    server.wait_for("a line of darn|DATA")
    client.stop()
    server.stop()
    braid.stop()


# ---- iperf3 ----


def iperf3(*options, least=1_000_000):
    """What the receiver counted, in bits per second, is more than this."""
    braid = stack()
    server = braid.start("iperf3", "--forceflush", "-s", "-1", "-p", "5201", seconds=60)
    server.wait_for("Server listening")
    said = braid.run("iperf3", "--sctp", "-c", HOST, "-p", "5201", "-t", "1", "--json", *options, seconds=40)
    rates = [int(float(r)) for r in re.findall(r'"sum_received":\s*{[^}]*"bits_per_second":\s*([0-9.e+]+)', said)]
    check(rates and rates[-1] > least, said[-1500:])
    server.wait()
    braid.stop()


def iperf3_plain():
    iperf3()


def iperf3_reverse():
    iperf3("-R")


def iperf3_parallel():
    iperf3("-P", "4")


def iperf3_streams():
    """(It takes the number for a bit rate, too, and sends one message a second.)"""
    iperf3("--nstreams", "8", least=1000)


def iperf3_bound():
    iperf3("-4", "-X", HOST)


# ---- ncat ----


def ncat_talks():
    braid = stack()
    server = braid.start("ncat", "--sctp", "-v", "-l", HOST, "5001", seconds=60)
    server.wait_for("Listening on")
    client = braid.start("ncat", "--sctp", HOST, "5001", seconds=60)
    client.write("to the server\n")
    server.wait_for("to the server")
    server.write("to the client\n")
    client.wait_for("to the client")
    client.process.stdin.close()
    client.wait()
    server.wait()
    braid.stop()


def ncat_serves_many():
    """-k goes on after a client, -e runs a program for each."""
    braid = stack()
    server = braid.start("ncat", "--sctp", "-v", "-l", "-k", "-e", "/bin/cat", HOST, "5001", seconds=60)
    server.wait_for("Listening on")
    for i in range(3):
        client = braid.start("ncat", "--sctp", HOST, "5001", seconds=60)
        client.write(f"echo {i}\n")
        client.wait_for(f"echo {i}")
        client.stop()
    server.stop()
    braid.stop()


# ---- socat ----


def socat():
    """A file through it, both ways."""
    braid = stack()
    with tempfile.NamedTemporaryFile(dir=directory()) as file:
        file.write(os.urandom(300_000))
        file.flush()
        os.chmod(file.name, 0o644)
        got = os.path.join(directory(), "socat-got")
        server = braid.start("socat", "-d", "-d", "-u", "SCTP-LISTEN:5001,bind=127.0.0.1,reuseaddr", f"CREATE:{got}", seconds=60)
        server.wait_for("listening on")
        braid.run("socat", "-u", f"FILE:{file.name}", f"SCTP-CONNECT:{HOST}:5001")
        server.wait()
        run(["cmp", file.name, got])
    server = braid.start("socat", "-d", "-d", "SCTP-LISTEN:5002,bind=127.0.0.1,fork", "EXEC:cat", seconds=60)
    server.wait_for("listening on")
    client = braid.start("socat", "-", f"SCTP-CONNECT:{HOST}:5002", seconds=60)
    client.write("back and forth\n")
    client.wait_for("back and forth")
    client.stop()
    server.stop()
    braid.stop()


# ---- SIP, and a port scanner ----


def sipp():
    """A hundred calls, each over an association of its own; both ends have one-to-one sockets."""
    braid = stack()
    options = ("-i", HOST, "-nostdin", "-max_socket", "1000")
    server = braid.start("sipp", "-sn", "uas", "-t", "s1", "-p", "5060", *options, seconds=60)
    end = time.monotonic() + 10
    while not any(s["state"] == "LISTEN" for s in braid.status()["sockets"]):
        check(time.monotonic() < end, "sipp does not listen")
        time.sleep(0.05)
    said = braid.run("sipp", "-sn", "uac", "-t", "sn", "-p", "5071", f"{HOST}:5060", "-m", "100", "-r", "200", *options)
    calls = re.findall(r"(Successful|Failed) call +\| +\d+ +\| +(\d+)", said)
    check(calls[-2:] == [("Successful", "100"), ("Failed", "0")], said[-1500:])
    server.stop()
    braid.stop()


def nmap():
    """What a scanner sees of open and closed ports is what it sees of Linux."""
    if os.geteuid() != 0:
        print("        it needs root, for namespaces: left out")
        return
    host, scanner = Namespace(), Namespace()
    join(host, scanner, "10.9.1.1/24", "10.9.1.2/24")
    wait_for_link(scanner)
    braid = Stack("--raw", "--no-udp", namespace=host)
    server = braid.start("ncat", "--sctp", "-v", "-l", "-k", "10.9.1.1", "5001", seconds=60)
    server.wait_for("Listening on")
    for scan, open_port in (("-sY", "open"), ("-sZ", r"open\|filtered")):
        said = run(["nmap", "-n", "-Pn", scan, "-p", "5000,5001", "10.9.1.1"], namespace=scanner)
        check(re.search(rf"5000/sctp +closed .*\n5001/sctp +{open_port} ", said), said)
    server.stop()
    braid.stop()


# ---- Languages ----


def python():
    """Its socket and asyncio modules."""
    braid = stack()
    check(braid.run("python3", os.path.join(SCRIPTS, "talk.py")) == "done\n", "python")
    braid.stop()


def perl():
    """Its Socket module, and a stream on a socket."""
    braid = stack()
    said = braid.run("perl", os.path.join(SCRIPTS, "talk.pl"))
    check(said == "you said: hello\nthe child exited with 3\n", said)
    braid.stop()


def php():
    """Its sockets extension, which it opens with RTLD_DEEPBIND."""
    braid = stack()
    said = braid.run("php", os.path.join(SCRIPTS, "talk.php"))
    check(said == "1\nstring(0) \"\"\nthe child exited with 3\nto many from ::1\n", said)
    braid.stop()


def go():
    """It makes its system calls itself; with and without libc in the program."""
    if not shutil.which("go"):
        print("        go is not installed: left out")
        return
    braid = stack()
    for libc in ("0", "1"):
        program = os.path.join(directory(), "go_echo" + libc)
        environment = dict(os.environ, CGO_ENABLED=libc, GO111MODULE="off", GOPATH="/usr/share/gocode", GOFLAGS="",
                           GOCACHE=os.path.join(directory(), "go"))
        run(["go", "build", "-o", program, os.path.join(SCRIPTS, "go", "echo.go")], environment=environment, seconds=120)
        said = braid.run(program)
        check(said == "tcp 1000000\ndone\n", said)
    braid.stop()


# ---- Programs that are watched ----


def compiled(name, *options, compiler="gcc"):
    """A program of `SCRIPTS`, made with Debian's header and library."""
    program = os.path.join(directory(), name + "".join(options).replace("/", "-"))
    run([compiler, "-g", "-O1", *options, "-o", program, os.path.join(SCRIPTS, name + ".c"), "-pthread", "-lsctp"])
    return program


def sanitizers():
    """Made with GCC's, whose libraries want to be loaded before all others."""
    braid = stack()
    for sanitizer in ("address,undefined", "thread"):
        said = braid.run(compiled("everything", f"-fsanitize={sanitizer}"))
        check(said == "done\n", said)
    braid.stop()


def watchers():
    """Programs that start another and look at all it does."""
    braid = stack()
    program = compiled("everything")
    trace = os.path.join(directory(), "trace")
    for watcher in (["valgrind", "-q", "--error-exitcode=9", "--leak-check=full"],
                    ["valgrind", "-q", "--error-exitcode=9", "--tool=helgrind"],
                    ["strace", "-f", "-o", trace]):
        said = braid.run(*watcher, program)
        check(said == "done\n", f"{watcher}: {said}")
    said = braid.run("gdb", "-batch", "-ex", "break serve", "-ex", "run", "-ex", "delete", "-ex", "continue", program)
    check("hit Breakpoint 1, serve" in said and "done\n" in said and "exited normally" in said, said)
    braid.stop()


# ---- How programs are started ----


def started_in_many_ways():
    """By others, with little of what a program is usually given."""
    braid = stack()
    program = compiled("everything")
    for way in (["env", "-i", "nohup", "timeout", "60", "setsid", "--wait", program],
                ["sh", "-c", f"ulimit -n 32; echo {program} | xargs -n 1 stdbuf -o0 | cat"],
                ["/lib64/ld-linux-x86-64.so.2", program], ["python3", "-c", f"import os; os.execve('{program}', ['x'], {{}})"]):
        said = braid.run(*way)
        check("done\n" in said, f"{way}: {said}")
    if os.geteuid() == 0:
        for way in (["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs", program],
                    ["unshare", "--mount", "--pid", "--fork", "su", "-", "nobody", "-s", "/bin/sh", "-c", program]):
            said = braid.run(*way)
            check("done\n" in said, f"{way}: {said}")
    # without standard input, output and errors there is nothing to be said, and what is opened gets their numbers
    static = os.path.join(directory(), "static")
    run(["gcc", "-static", "-o", static, os.path.join(SCRIPTS, "everything.c"), "-pthread",
         run(["gcc", "-print-file-name=libsctp.a"]).strip()])
    for each in (program, static):
        braid.run("sh", "-c", f"exec {each} <&- >&- 2>&-")
    braid.stop()


# ---- Programs without SCTP ----


def others_are_left_alone():
    """What they say and how they end is the same with and without."""
    braid = stack()
    server = braid.start("python3", "-m", "http.server", "8080", "--bind", HOST, "--directory", SCRIPTS)
    server.wait_for("Serving HTTP")
    script = ("import os,socket,subprocess,threading\n"
              "a,b=socket.socketpair()\na.sendall(b'x'*10);print(b.recv(20))\n"
              "s=socket.create_server(('127.0.0.1',0));c=socket.create_connection(s.getsockname());d,_=s.accept()\n"
              "t=threading.Thread(target=lambda:c.sendall(b'y'*1000000));t.start();n=0\n"
              "while n<1000000:n+=len(d.recv(65536))\n"
              "u,v=[socket.socket(socket.AF_INET,socket.SOCK_DGRAM) for i in 'uv'];v.bind(('127.0.0.1',0))\n"
              "u.sendto(b'z'*5000,v.getsockname());print(v.recv(9000)[:3],v.getsockopt(socket.SOL_SOCKET,socket.SO_TYPE))\n"
              "print(n,subprocess.run(['sh','-c','echo hi;exit 3'],capture_output=True),c.fileno(),u.fileno())\n")
    source = os.path.join(directory(), "plain.c")
    with open(source, "w", encoding="utf-8") as file:
        file.write("int main(void) { return 7; }\n")
    commands = (
        ["python3", "-c", script],
        ["python3", "-c", f"import urllib.request as u;print(len(u.urlopen('http://{HOST}:8080/talk.py').read()))"],
        ["sh", "-c", "ls / | sort | head -3; false"],
        ["perl", "-e", "print 6*7"],
        # no descriptor, no child, no blocked or ignored signal, no limit that would not be there without
        ["sh", "-c", "ls /proc/self/fd; cat /proc/self/limits; grep -E 'Sig|Shd|NoNewPrivs|Seccomp|Threads' /proc/self/status"],
        ["sh", "-c", "sleep 0.1 & wait; echo $?; kill -9 $$"],
        ["sh", "-c", "kill -TERM $$"],
        ["bash", "-c", "exec 5<>/dev/tcp/127.0.0.1/8080; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&5; head -1 <&5; yes | head -1"],
        ["sh", "-c", f"gcc -o {directory()}/plain {source} && {directory()}/plain"],
        ["git", "--version"],
    )
    for command in commands:
        plain = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, stdin=subprocess.DEVNULL)
        said = subprocess.run(braid.run_command(*command), capture_output=True, text=True, timeout=30, check=False,
                              stdin=subprocess.DEVNULL)
        for what in ("returncode", "stdout", "stderr"):
            check(getattr(said, what) == getattr(plain, what), f"{command}: {what}: {said} instead of {plain}")
    server.stop()
    braid.stop()


if __name__ == "__main__":
    TESTS = [checksctp, sctp_test, sctp_darn, iperf3_plain, iperf3_reverse, iperf3_parallel, iperf3_streams, iperf3_bound,
             ncat_talks, ncat_serves_many, socat, sipp, nmap, python, perl, php, go, sanitizers, watchers,
             started_in_many_ways, others_are_left_alone]
    main([t for t in TESTS if len(sys.argv) < 2 or t.__name__ in sys.argv[1:]])
