#!/usr/bin/env python3
"""The memory of batches and the processes that join pass over a socket: so namespaces do not matter, and strangers get nothing."""
import array
import os
import socket
import struct
import subprocess
import unittest

from leatd import LeatdCase

NAMESPACES = ("unshare", "--user", "--map-current-user", "--pid", "--fork", "--kill-child", "--mount-proc")


def arenas_mapped(pid):
    with open(f"/proc/{pid}/maps") as maps:
        return {line.split()[4] for line in maps if "/memfd:leat-arena" in line}


class Descriptors(LeatdCase):
    def request(self, kind, number, *descriptors):
        """What the supervisor answers: (bytes, descriptors)."""
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with mine, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
            with theirs:
                to.connect(str(self.runtime / "d/reviews/descriptors"))
                rights = array.array("i", [theirs.fileno(), *descriptors])
                to.sendmsg([b"LDR1" + struct.pack("<IQ", kind, number)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
            mine.settimeout(30)
            return socket.recv_fds(mine, 16, 2)[:2]

    def numbers_of_arenas(self, pid):
        for name in os.listdir(f"/proc/{pid}/fd"):
            path = f"/proc/{pid}/fd/{name}"
            if "memfd:leat-arena" in os.readlink(path):
                with open(path, "rb") as memory:
                    yield struct.unpack("<QQ", memory.read(16))[1]

    def test_who_is_no_worker_gets_no_memory_and_cannot_offer_any(self):
        self.pipeline()
        self.start_leatd()
        self.until_pool(1)
        number = next(self.numbers_of_arenas(self.workers("reader")[0]["pid"]))
        self.assertEqual(self.request(2, number), (b"", []))
        memory = os.memfd_create("leat-test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        self.addCleanup(os.close, memory)
        self.assertEqual(self.request(1, 7, memory), (b"", []))
        self.assertEqual(self.request(3, 7), (b"", []))  # without a pidfd

    def test_a_flood_of_requests_keeps_nobody_from_working(self):
        self.pipeline()
        self.start_leatd()
        self.until_pool(1)
        flood = subprocess.Popen(["python3", "-c", """if True:
            import socket, sys
            to = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            to.connect(sys.argv[1])
            reply, kept = socket.socketpair()
            print(flush=True)
            while True:
                socket.send_fds(to, [b"LDR1" + b"\\2" + bytes(11)], [reply.fileno()] * 10)
            """, str(self.runtime / "d/reviews/descriptors")], stdout=subprocess.PIPE)
        self.addCleanup(flood.stdout.close)
        self.addCleanup(flood.wait)
        self.addCleanup(flood.kill)
        flood.stdout.readline()
        self.ask("scale", "reviews", role="processor", workers=2)
        self.until_pool(2)
        content = self.numbers(20000)
        self.feed("a.jsonl", content)
        self.until_output("a.jsonl", self.expected(content))
        self.assertIsNone(flood.poll())

    def test_a_processor_in_namespaces_of_its_own_shares_memory_and_is_seen(self):
        if subprocess.run([*NAMESPACES, "true"], stderr=subprocess.DEVNULL, check=False).returncode != 0:
            self.skipTest("no user namespaces here")
        self.pipeline(process={"workers": 0})
        self.start_leatd()
        joined = self.join("reviews", *NAMESPACES)
        self.until_pool(1)
        content = self.numbers(20000)
        self.feed("a.jsonl", content)
        self.until_output("a.jsonl", self.expected(content))
        worker = self.workers("processor")[0]
        before, own, behind = (arenas_mapped(self.workers(role)[0]["pid"]) for role in ("reader", "processor", "writer"))
        self.assertTrue(before & own, "what the reader has made is seen in its memory")
        self.assertTrue((own - before) & behind, "the writer sees the processor's memory")
        self.assertNotEqual(worker["pid"], joined.pid)
        self.until(lambda: self.workers("processor")[0]["memory_bytes"] > 0, "its memory is known")
        os.kill(worker["pid"], 9)
        self.until_pool(0)


if __name__ == "__main__":
    unittest.main()
