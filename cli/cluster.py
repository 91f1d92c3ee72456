"""A cluster's folder: keys, certificates, signed members, one folder a node.

Is:     the layout on disk, and making it.
Is not: the daemon's configuration schema (`yind.config` checks it) or any connection (`cli.connect`).
Fits:   `yin cluster`, `yin node` and `yin up` write it; every other command reads it to find nodes.

    DIR/cluster.toml         name and root public key
    DIR/root.key             the cluster's root seed: signs members and mints tokens     (0600)
    DIR/operator.key .crt    who the command line is                                      (0600)
    DIR/*.key.next           a key that is being announced; the next command finishes that (0600)
    DIR/operator.token       what the command line may do: everything, bound to operator.key
    DIR/members              signed membership records, one a line
    DIR/nodes/NAME/          yind.toml node.key node.crt data/ yind.log yind.pid
"""

from __future__ import annotations

import os
import secrets
import socket
import time
import tomllib
from collections.abc import Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from capabilities.caveats import Caveats, Rights, Verb
from capabilities.certificate import make_certificate, read_certificate
from capabilities.errors import CapabilityError
from capabilities.keys import PrivateKey, PublicKey, load_private, save_private
from capabilities.limits import NAME_BYTES_MAX
from capabilities.membership import Ledger, Member, Membership
from capabilities.statements import ROLES, Record, Statement, is_name, sign
from capabilities.tokens import Token, mint
from cli.errors import CliError, Exit
from cli.secret_files import write_secret
from protocol.address import is_dialable, is_wildcard, split_address
from protocol.errors import Unreachable

OPERATOR_TTL_S = 365 * 24 * 3600
ALL_VERBS = Verb(sum(Verb))
PORTS = range(16_384, 32_768)  # below those that systems give to connections
PORT_TRIES = 64


@dataclass(frozen=True, slots=True)
class Cluster:
    """An opened cluster folder."""

    folder: Path
    name: str
    root: PublicKey

    @property
    def members(self) -> Membership:
        """Return who belongs to the cluster now, as far as this folder knows."""
        return self.ledger.at(now_s())

    @property
    def ledger(self) -> Ledger:
        """Return all statements that this folder knows."""
        with _read(self.folder / "members") as path:
            return Ledger.from_text(path.read_text(), self.root)

    def say(self, *statements: Statement) -> None:
        """Add statements to the folder's."""
        ledger = self.ledger
        ledger.add(statements)
        replace_file(self.folder / "members", ledger.to_text())

    def nodes(self) -> list[Member]:
        """Return the nodes, by name."""
        return sorted((m for m in self.members if m.role == "node"), key=lambda m: m.name)

    def ports(self) -> frozenset[int]:
        """Return the ports at which nodes are reached, whether they run just now or not."""
        addresses = (address for member in self.nodes() for address in member.addresses)
        return frozenset(split_address(address)[1] for address in addresses if is_dialable(address))

    def next_seq(self, name: str) -> int:
        """Return the number of a member's next record; what counts for nothing, whatever its number, does not matter."""
        numbers = self.members.numbers
        return max(numbers.get((role, name), 1) for role in ROLES)

    def node(self, name: str) -> Member:
        """Return a node by name. Raises CliError."""
        for member in self.nodes():
            if member.name == name:
                return member
        known = ", ".join(member.name for member in self.nodes()) or "none yet"
        raise CliError(
            f"no node {name!r} in {self.folder} (nodes: {known})", exit_code=Exit.NOT_FOUND
        )

    def home(self, name: str) -> PublicKey:
        """Return the key that names a node for good, whatever key it has now."""
        return self.members.lineage.origin(self.node(name).key)

    @property
    def root_key(self) -> PrivateKey:
        """Return the root's private key. Raises CliError when this machine does not hold it."""
        path = self.folder / "root.key"
        if not path.exists():
            raise CliError(
                f"{path}: the root key is not here",
                exit_code=Exit.AUTHENTICATION,
                hint="yin --cluster DIR ..., with a folder that has it",
            )
        with _read(path):
            return load_private(path)

    @property
    def operator_key(self) -> PrivateKey:
        """Return the key the command line connects with."""
        with _read(self.folder / "operator.key") as path:
            return load_private(path)

    @property
    def operator_certificate(self) -> bytes:
        """Return the certificate that goes with the operator's key."""
        with _read(self.folder / "operator.crt") as path:
            return read_certificate(path, self.operator_key.public)

    @property
    def operator_token(self) -> Token:
        """Return the token the command line presents."""
        with _read(self.folder / "operator.token") as path:
            return Token.from_text(path.read_text().strip())

    def names_here(self) -> list[str]:
        """Return the names of nodes that have a folder here, whether they still belong to the cluster or not."""
        folders = self.folder / "nodes"
        return sorted(path.name for path in folders.iterdir()) if folders.exists() else []

    def node_folder(self, name: str) -> Path:
        """Return the folder of a node."""
        return self.folder / "nodes" / name


def create(folder: Path, *, name: str, now_s: int) -> Cluster:
    """Make a cluster: root key, operator, an empty membership. Raises CliError if there is one."""
    if (folder / "cluster.toml").exists():
        raise CliError(f"{folder} is a cluster already", exit_code=Exit.CONFLICT)
    make_folder(folder)
    root, operator = PrivateKey.generate(), PrivateKey.generate()
    save_private(folder / "root.key", root)
    save_private(folder / "operator.key", operator)
    certificate = make_certificate(operator, "operator")
    (folder / "operator.crt").write_bytes(certificate)
    rights = (Rights(ALL_VERBS, "**"),)
    token = mint(root, operator.public, Caveats(exp=now_s + OPERATOR_TTL_S, rights=rights))
    write_secret(folder / "operator.token", token.to_text() + "\n")
    record = Record("operator", "operator", operator.public, certificate, (), 1, now_s)
    (folder / "members").write_text(sign(record, root).to_text() + "\n")
    (folder / "cluster.toml").write_text(f'name = "{name}"\nroot = "{root.public.text}"\n')
    return Cluster(folder, name, root.public)


def open_cluster(folder: Path) -> Cluster:
    """Return an existing cluster. Raises CliError."""
    path = folder / "cluster.toml"
    if not path.exists():
        raise CliError(f"no cluster in {folder}", exit_code=Exit.NOT_FOUND, hint="yin up --nodes 3")
    with _read(path):
        settings = tomllib.loads(path.read_text())
        root = PublicKey.parse(str(settings.get("root")))
        cluster = Cluster(folder, str(settings.get("name", folder.name)), root)
    _settle(cluster)
    return cluster


@contextmanager
def _read(path: Path) -> Iterator[Path]:
    """Yield a file of a cluster, to be read. Raises CliError if what is there is not what belongs there."""
    try:
        yield path
    except (CapabilityError, OSError, ValueError) as error:
        why = str(error.strerror if isinstance(error, OSError) else error)
        raise CliError(
            why if why.startswith(str(path)) else f"{path}: {why}",
            hint="a copy of the folder, or another one: yin --cluster DIR ...",
        ) from error


def _settle(cluster: Cluster) -> None:
    """Finish a rotation of the root, or of the operator's key, that was interrupted."""
    following = cluster.folder / "root.key.next"
    if following.exists() and load_private(following).public == cluster.members.root:
        install_root(cluster)
    settle_operator(cluster)


def install_root(cluster: Cluster) -> None:
    """Let the announced root be the cluster's, and give the operator a token of it."""
    new = load_private(cluster.folder / "root.key.next")
    caveats = Caveats(exp=now_s() + OPERATOR_TTL_S, rights=(Rights(ALL_VERBS, "**"),))
    token = mint(new, cluster.operator_key.public, caveats)
    write_secret(cluster.folder / "operator.token", token.to_text() + "\n")
    (cluster.folder / "root.key.next").replace(cluster.folder / "root.key")


def settle_operator(cluster: Cluster) -> None:
    """Let the operator's next key be the operator's, if it has been announced."""
    following = cluster.folder / "operator.key.next"
    if not following.exists():
        return
    new = load_private(following).public
    member = cluster.members.of_key(new)
    if member is not None and member.key == new:
        _hand_to(cluster, new)
        (cluster.folder / "operator.crt").write_bytes(member.certificate)
        following.replace(cluster.folder / "operator.key")


def _hand_to(cluster: Cluster, new: PublicKey) -> None:
    """Bind the operator's token to the next key, so that it outlives more than one rotation.

    One that says who may hold it, or how often it may change hands, is left as it is: it holds for the next key alone.
    """
    old, token = cluster.operator_key, cluster.operator_token
    if token.holder == old.public and not token.blocks[-1].terms.holding:
        handed = token.append(old, new, Caveats())
        write_secret(cluster.folder / "operator.token", handed.to_text() + "\n")


def add_node(cluster: Cluster, name: str, *, listen: str, address: str | None = None) -> Member:
    """Make a node's folder and sign it into the membership. Raises CliError, and has written nothing then.

    Args:
        cluster: where to.
        name: of the node.
        listen: HOST:PORT where it will listen; port 0 picks one.
        address: where others reach it, if that is not where it listens.
    """
    check_name(name)
    if any(member.name == name for member in cluster.nodes()):
        raise CliError(f"node {name!r} exists already", exit_code=Exit.CONFLICT)
    host, port = parse_listen(listen)
    listen = f"{host}:{port or free_port(host, besides=cluster.ports())}"
    check_published(address or listen)
    root_key, folder = cluster.root_key, cluster.node_folder(name)
    if folder.exists():
        raise CliError(
            f"{folder} is there already, of a node that was put out or not finished",
            exit_code=Exit.CONFLICT,
            hint=f"mv {folder} {folder}.before",
        )
    folder.mkdir(parents=True)
    key = PrivateKey.generate()
    certificate = make_certificate(key, name)
    save_private(folder / "node.key", key)
    (folder / "node.crt").write_bytes(certificate)
    write_settings(folder, name, listen, members="../../members", root=cluster.root)
    addresses = (address or listen,)
    record = Record(
        name, "node", key.public, certificate, addresses, cluster.next_seq(name), now_s()
    )
    cluster.say(sign(record, root_key))
    return cluster.node(name)


def make_folder(folder: Path) -> None:
    """Make a folder that is to hold a cluster or a node, if it is not there. Raises CliError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CliError(f"{folder}: no folder can be made there: {error.strerror}") from error


def check_name(name: str) -> None:
    """Return if a text can be a node's name. Raises CliError."""
    if not is_name(name) or len(name) > NAME_BYTES_MAX:
        raise CliError(
            f"{name!r} is no name for a node: up to {NAME_BYTES_MAX} letters, digits, -, _ and .",
            exit_code=Exit.USAGE,
        )


def check_published(address: str) -> None:
    """Return if others can be told an address. Raises CliError."""
    host, port = parse_listen(address)
    if not is_dialable(address):
        why = "every address of the machine" if is_wildcard(host) or port else "no port"
        raise CliError(
            f"{address} is {why}: say where others reach the node",
            exit_code=Exit.USAGE,
            hint=f"--address HOST:{port or 7400}",
        )


def now_s() -> int:
    """Return seconds since 1970."""
    return time.time_ns() // 10**9


def replace_file(path: Path, text: str) -> None:
    """Write a file so that whoever reads it sees the old text or the new one."""
    beside = path.with_name(path.name + ".new")
    beside.write_text(text)
    beside.replace(path)


def write_settings(folder: Path, name: str, listen: str, *, members: str, root: PublicKey) -> None:
    """Write a node's configuration."""
    (folder / "yind.toml").write_text(
        f'name = "{name}"\nlisten = "{listen}"\nkey = "node.key"\ncertificate = "node.crt"\n'
        f'members = "{members}"\ncluster = "{root.text}"\n'
    )


def parse_listen(text: str) -> tuple[str, int]:
    """Return host and port of HOST:PORT. Raises CliError."""
    try:
        _, port = split_address(text)
    except Unreachable as error:
        raise CliError(str(error), exit_code=Exit.USAGE) from None
    return text.rpartition(":")[0] or "127.0.0.1", port


def free_port(host: str, *, besides: Set[int] = frozenset()) -> int:
    """Return a TCP port nobody listens on now, and that no connection will have when the node starts again.

    Args:
        host: whose port.
        besides: ports not to take, as those of nodes that do not run just now.

    Raises CliError.
    """
    others = [port for port in PORTS if port not in besides]
    why: OSError | None = None
    for port in secrets.SystemRandom().sample(others, min(PORT_TRIES, len(others))):
        try:
            with socket.create_server((host, port)):
                return port
        except OSError as error:
            why = error
    raise CliError(f"no port of {host} can be listened on: {why or 'all are taken'}")


def default_folder() -> Path:
    """Return where the development cluster lives unless a profile or flag says otherwise."""
    data = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(data) / "yin" / "dev"


def current_folder(flag: str | None) -> Path:
    """Return the cluster folder: flag or environment, then the profile file, then the default."""
    if flag:
        return Path(flag)
    config = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return _profile_folder(Path(config) / "yin" / "config.toml") or default_folder()


def _profile_folder(path: Path) -> Path | None:
    """Return the cluster folder of the profile that is meant; None if none is. Raises CliError."""
    try:
        settings = tomllib.loads(path.read_text()) if path.exists() else {}
    except (OSError, ValueError) as error:
        raise CliError(f"{path}: {error}") from error
    meant = os.environ.get("YIN_PROFILE") or settings.get("profile")
    match settings.get("profiles", {}):
        case {**profiles} if (name := meant or "default") in profiles:
            match profiles[name]:
                case {"cluster": str(folder)}:
                    return Path(folder).expanduser()
            raise CliError(f'{path}: profile {name!r} has no cluster = "FOLDER"')
        case {**profiles}:
            if meant is not None:  # else another cluster would be taken for it
                known = ", ".join(map(str, profiles)) or "none"
                raise CliError(
                    f"{path}: no profile {meant!r} (profiles: {known})", exit_code=Exit.NOT_FOUND
                )
            return None
    raise CliError(f"{path}: profiles is no table of profiles")
