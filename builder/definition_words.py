"""Words of image definitions and what they may look like."""

from typing import Annotated

from msgspec import Meta

# \Z, not $: that would also match before a line feed at the end
Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,62}\Z")]
GuestPath = Annotated[str, Meta(pattern=r"^/[^\x00\n]*\Z")]
User = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,31}\Z")]  # ends up in passwd(5)

# limits of a program (setrlimit(2))
Processes = Annotated[int, Meta(ge=0, le=1048576)]
OpenFiles = Annotated[int, Meta(ge=16, le=1048576)]

# QEMU's fw_cfg takes 55 characters, opt/kiln/secret/ among them (include/standard-headers/linux/qemu_fw_cfg.h)
SecretName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,38}\Z")]
SECRETS = "/run/secrets"
LEASE = "/run/kiln"  # what the agent knows from DHCP (recipes/agents/kiln/resolver.c)

# a package's name (Debian policy 5.6.1), optionally with a version (5.6.12); never an option of apt-get
Pinned = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9+.-]+(=[A-Za-z0-9.+:~-]+)?\Z")]
