"""The operator's key changes while everything runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trio
from commands import beside
from fleet import Fleet, fleet

from capabilities.certificate import make_certificate
from capabilities.keys import PrivateKey, load_private, save_private
from capabilities.membership import Membership
from capabilities.statements import Succession, sign
from capabilities.tokens import Token
from cli.cluster import Cluster, now_s, open_cluster
from cli.errors import CliError, Exit
from cli.membership import rotate_operator
from protocol.errors import AuthenticationFailed, Unreachable
from yang.compile import compile_source


async def rotated(nodes: Fleet, overlap_s: int = 3600) -> Succession:
    cluster = nodes.cluster
    return await trio.to_thread.run_sync(lambda: rotate_operator(cluster, overlap_s))


def names_operator(*keys: PrivateKey) -> object:
    def have(membership: Membership) -> bool:
        found = membership.members.get(("operator", "operator"))
        return found is not None and found.keys == tuple(key.public for key in keys)

    return have


async def until_keys(nodes: Fleet, *keys: PrivateKey) -> None:
    """Return when every node takes these keys for the operator's."""
    with trio.fail_after(15):
        for node in nodes.nodes.values():
            await node.members.wait_for(names_operator(*keys))  # type: ignore[arg-type]


async def test_an_operator_changes_its_key_and_everything_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        cluster, old = nodes.cluster, nodes.cluster.operator_key
        kept = cluster.folder / "kept.token"  # of the old key
        kept.write_text(nodes.token().to_text())
        running = await nodes.spawn("alpha", "(sleep 600000)", nodes.token())
        answer = await beside(nodes.cluster, capsys, "key", "rotate", "--overlap", "1h", "--json")
        assert answer.code == 0, answer.err
        said = json.loads(answer.out)
        new = cluster.operator_key
        assert (said["old"], said["new"]) == (old.public.text, new.public.text)
        await until_keys(nodes, new, old)
        assert cluster.operator_token.holder == new.public
        assert (await nodes.ask("beta", "agent.list"))["value"] == ()
        await nodes.ask("alpha", "agent.migrate", id=running.hex(), node="beta")
        # What the old key holds, the new one may use, and extend.
        assert await nodes.result("alpha", '(do (hop! "beta") (here))', nodes.token()) == '"beta"'
        assert Token.from_text(kept.read_text()).holder == old.public
        spawn = f"spawn -e (here) --on alpha --token @{kept} --wait".split()
        spawned = await beside(nodes.cluster, capsys, *spawn)
        assert (spawned.code, spawned.out.strip().split("\n")[-1]) == (0, '"alpha"'), spawned.err
        again = await beside(nodes.cluster, capsys, "key", "rotate")
        assert (again.code, "nobody follows a follower" in again.err) == (Exit.CONFLICT, True)


async def test_a_person_is_told_what_has_changed_until_when_and_what_is_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        old = nodes.cluster.operator_key.public.text
        answer = await beside(nodes.cluster, capsys, "key", "rotate", "--overlap", "2h")
        new = nodes.cluster.operator_key.public.text
        first, second = answer.out.splitlines()
        assert first == f"the operator of test has the key {new}"
        assert second.startswith(f"  the one before, {old}, holds until ")
        assert second.endswith("(in 2h)") or "(in 1h 59m)" in second
        assert f"{nodes.cluster.folder} has the new key" in answer.err
        assert "copy its operator.* and members to other folders" in answer.err
        assert "yin cluster sync" in answer.err


@pytest.mark.parametrize("restarts", [False, True])
async def test_who_has_tokens_of_a_root_that_is_over_goes_on_with_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], restarts: bool
) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        looks = "(loop [] (sleep 100) (streams) (recur))"
        agent = await nodes.spawn("alpha", looks, nodes.token())
        name = agent.hex()
        turned = await beside(nodes.cluster, capsys, "cluster", "rotate", "--overlap", "1s")
        assert name[:12] in turned.err
        with trio.fail_after(15):
            members = nodes.nodes["alpha"].members
            await members.wait_for(lambda known: known.former_root is None)
            if restarts:
                await nodes.stop("alpha")
                await nodes.start("alpha")
            _, row = await nodes.settled("alpha", agent)
        assert row["state"] == "paused", row["reason"]
        assert (await beside(nodes.cluster, capsys, "show", name)).code == 0
        told = await beside(nodes.cluster, capsys, "result", name)
        assert f"try: yin token renew {name[:12]}" in told.err
        renewed = await beside(nodes.cluster, capsys, "token", "renew", name)
        assert (renewed.code, renewed.out) == (0, f"{name[:12]} ready\n"), renewed.err
        (token,) = (await nodes.ask("alpha", "agent.tokens", id=name))["value"]
        assert token["invalid"] is None
        row = await nodes.ask("alpha", "agent.show", id=name)
        assert row["state"] in ("ready", "waiting")


async def test_the_old_key_is_over_and_the_next_rotation_goes_on(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha", "beta") as nodes:
        cluster, first = nodes.cluster, nodes.cluster.operator_key
        certificate = cluster.operator_certificate
        await rotated(nodes, 1)
        second = cluster.operator_key
        await until_keys(nodes, second)
        stale = Cluster(tmp_path / "stale", "test", cluster.root)
        stale.folder.mkdir()
        save_private(stale.folder / "operator.key", first)
        (stale.folder / "operator.crt").write_bytes(certificate)
        (stale.folder / "operator.token").write_text(cluster.operator_token.to_text())
        (stale.folder / "members").write_text((cluster.folder / "members").read_text())
        nodes.cluster = stale
        with pytest.raises((AuthenticationFailed, Unreachable)):
            await nodes.ask("alpha", "node.info")
        nodes.cluster = cluster
        await rotated(nodes)
        await until_keys(nodes, cluster.operator_key, second)
        assert (await nodes.ask("alpha", "node.info"))[
            "name"
        ] == "alpha"  # its token was handed on twice
        # Whoever finds the first key now names another successor in vain: the root has said which it is.
        thief = PrivateKey.generate()
        step = Succession(first.public, thief.public, now_s(), now_s() + 60, 2)
        await nodes.nodes["alpha"].members.take([sign(step, first, thief)])
        assert nodes.nodes["alpha"].members.current.of_key(cluster.operator_key.public) is not None
        assert (await nodes.ask("alpha", "node.info"))["name"] == "alpha"


async def test_a_rotation_that_nobody_hears_of_changes_nothing_and_is_begun_again(
    tmp_path: Path,
) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        cluster, old = nodes.cluster, nodes.cluster.operator_key
        await nodes.stop("alpha")
        with pytest.raises(CliError) as unheard:
            await rotated(nodes)
        assert unheard.value.exit_code is Exit.UNREACHABLE
        made = load_private(cluster.folder / "operator.key.next")
        assert open_cluster(cluster.folder).operator_key.public == old.public
        await nodes.start("alpha")
        step = await rotated(nodes)
        assert (step.old, step.new) == (old.public, made.public)  # never two for one
        assert cluster.operator_key.public == made.public


async def test_a_rotation_that_was_told_and_not_written_down_is_finished(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        cluster, old, new = nodes.cluster, nodes.cluster.operator_key, PrivateKey.generate()
        save_private(cluster.folder / "operator.key.next", new)
        step = Succession(
            old.public, new.public, now_s(), now_s() + 60, 1, make_certificate(new, "operator")
        )
        await nodes.nodes["alpha"].members.take([sign(step, old, new)])
        assert await rotated(nodes) == step
        assert not (cluster.folder / "operator.key.next").exists()
        assert (await nodes.ask("alpha", "node.info"))["name"] == "alpha"


async def test_a_session_is_still_its_owners(tmp_path: Path) -> None:
    async with fleet(tmp_path, "alpha") as nodes:
        session = await nodes.spawn("alpha", "1", nodes.token(), session=True)
        await nodes.until("alpha", session, "paused")
        await rotated(nodes)
        program = compile_source("(+ 1 2)", "entry.clj").program.to_bytes()
        await nodes.ask("alpha", "agent.enter", id=session.hex(), program=program)
        with trio.fail_after(10):
            row = await nodes.ask("alpha", "agent.wait", id=session.hex())
        assert row["result"] == "3"
