"""let_users_map.py: have newuidmap and newgidmap work in a container, for buildah without root.

Debian gives them root's identity (setuid), by which they may not write the map of a namespace that another user has
made, unless the container has CAP_SYS_ADMIN. With the one capability that they need they stay that user, and may.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

#: Numbers of linux/capability.h.
PROGRAMS = {"/usr/bin/newgidmap": 6, "/usr/bin/newuidmap": 7}
#: Version 2 of struct vfs_cap_data, in force as soon as the program starts.
VERSION = 0x02000001

for program, capability in PROGRAMS.items():
    Path(program).chmod(0o755)
    os.setxattr(program, "security.capability", struct.pack("<5I", VERSION, 1 << capability, 0, 0, 0))
