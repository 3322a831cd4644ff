"""A NAS for a container: sshd in a network namespace with a slow link; the container's network is the other end.

The container mounts it by a .mount unit, as a home server does.
"""
import subprocess

import sshfs

# Where the container sees the key, and what its unit mounts.
KEYS = "/etc/leat-test-nas"
MOUNT = "/mnt/nas"

UNIT = """
[Unit]
Description=the NAS

[Mount]
What=root@10.99.77.1:{files}
Where={where}
Type=fuse.sshfs
Options=_netdev,allow_other,reconnect,dcache_timeout=1,ServerAliveInterval=1,ServerAliveCountMax=2,ConnectTimeout=2,port=2222,\
IdentityFile={keys}/user,StrictHostKeyChecking=no,UserKnownHostsFile=/dev/null,GlobalKnownHostsFile=/dev/null,LogLevel=ERROR
TimeoutSec=20s

[Install]
WantedBy=remote-fs.target
"""


class Nas(sshfs.Nas):
    """Served, but not mounted on this machine."""

    def mount(self):
        pass

    def shared(self):
        return {KEYS: str(self.private)}

    def unit(self):
        return UNIT.format(files=self.files, where=MOUNT, keys=KEYS)

    def stop(self):
        for name in (self.client, self.server):
            self.kill_in(name)
        if self.sshd is not None:
            self.sshd.wait()
        for name in (self.client, self.server):
            subprocess.run([sshfs.tool("ip"), "netns", "del", name], check=False)
        sshfs.shutil.rmtree(self.private, ignore_errors=True)
