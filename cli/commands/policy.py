"""`yin policy`: what nodes' policies say of programs, which are in force, and putting others in force.

Is:     `check` without any node, or with the policies of one; `list`, `show`, `explain`, `reload`.
Is not: the rules (`policy/*.edn`), nor their evaluation (`yang.policy`).
Fits:   exit code 10 if something is refused, as everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.connect import cluster_of, connected
from cli.errors import CliError, Exit
from cli.output import Column, note, output_option, seen, show_document, show_rows
from cli.sources import SourceTexts, compile_or_fail, read_source
from cli.violations import told, violations_text
from datomstore.value import Map

if TYPE_CHECKING:
    from yang.policy import Judgement, Policy
    from yang.program import Program


@click.group()
def policy() -> None:
    """Ask what policies say of programs, and which are in force."""


@policy.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--policy",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A policy to ask; several may be given.",
)
@click.option("--on", "node", metavar="NODE", help="Ask the policies in force on a node instead.")
@click.option("--private", multiple=True, metavar="STREAM", help="A stream that is private there.")
@output_option
@click.pass_context
def check(
    ctx: click.Context,
    file: Path,
    files: tuple[Path, ...],
    node: str | None,
    private: tuple[str, ...],
    output: str,
    as_json: bool,
) -> int:
    """Say which expressions of FILE violate which policy, as if it began on the node.

    Policies that read tokens or owners need an agent: they are not asked here.
    """
    if (node is None) == (not files):
        raise CliError("either --policy FILE or --on NODE is needed", exit_code=Exit.USAGE)
    text = read_source(file)
    program = compile_or_fail(text, str(file), file)
    if node is None:
        found, count = _checked(program, [_read(each) for each in files], private)
    else:
        with connected(cluster_of(ctx), node) as client:
            body = Map({"program": program.to_bytes()})
            answer = client.request("policy.check", body)
        found, count = told(answer), answer["count"]
    _show(found, SourceTexts(str(file), text, file), "json" if as_json else output)
    note(f"{count} violation{'s' if count != 1 else ''}")
    return Exit.REJECTED if found else Exit.OK


def _read(file: Path) -> Policy:
    from yang.policy import read_policy
    from yang.rule_files import RulesInvalid

    try:
        return read_policy(read_source(file), str(file))
    except RulesInvalid as error:
        raise CliError(str(error), exit_code=Exit.USAGE) from error


def _checked(
    program: Program, policies: Sequence[Policy], private: Sequence[str]
) -> tuple[list[dict[str, object]], int]:
    """Return the violations of a program, and how many there are."""
    from yang.policy import BEGINS, code_of, judge, private_facts
    from yang.rule_files import RulesInvalid

    asked = [policy for policy in policies if not policy.of_agent]
    for policy in policies:
        if policy.of_agent:
            note(f"{policy.name} reads what agents bring: not asked")
    try:
        judgement = judge(asked, code_of(program), [BEGINS, *private_facts(private)])
    except RulesInvalid as error:
        raise CliError(str(error), exit_code=Exit.USAGE) from error
    return _documents(judgement), len(judgement.counted)


def _documents(judgement: Judgement) -> list[dict[str, object]]:
    rows = [dict(each._asdict()) for each in judgement.counted]
    for row in rows:
        row["span"] = tuple(row["span"])
    return rows


def _show(found: Sequence[dict[str, Any]], texts: SourceTexts, output: str) -> None:
    if output == "text":
        if found:
            click.echo(seen(violations_text(found, texts)))
        return
    show_rows("policy.violations", found, [], output=output, identity="policy")


@policy.command("list")
@click.option("--on", "node", metavar="NODE", required=True)
@output_option
@click.pass_context
def list_(ctx: click.Context, node: str, output: str, as_json: bool) -> None:
    """List the policies in force on a node."""
    with connected(cluster_of(ctx), node) as client:
        rows = client.request("policy.list", Map())["value"]
    _show_policies(rows, "json" if as_json else output)


def _show_policies(rows: Sequence[Map], output: str) -> None:
    columns = [
        Column("name", "POLICY"),
        Column("reads", "READS", form=lambda value: ", ".join(value)),  # type: ignore[arg-type]
        Column("doc", "", form=lambda value: str(value).split("\n")[0]),
    ]
    documents = [{str(key): value for key, value in row.items()} for row in rows]
    show_rows("policy.list", documents, columns, output=output, identity="name")


@policy.command()
@click.argument("name")
@click.option("--on", "node", metavar="NODE", required=True)
@output_option
@click.pass_context
def show(ctx: click.Context, name: str, node: str, output: str, as_json: bool) -> None:
    """Print the text of a policy in force on a node."""
    with connected(cluster_of(ctx), node) as client:
        row = client.request("policy.show", Map({"name": name}))
    document = {str(key): value for key, value in row.items()}
    text = str(row["text"]).rstrip()
    show_document("policy", document, text, output="json" if as_json else output)


@policy.command()
@click.argument("policy_file", metavar="POLICY")
@click.option("--on", "node", metavar="NODE", help="POLICY is the name of one in force there.")
@output_option
@click.pass_context
def explain(
    ctx: click.Context, policy_file: str, node: str | None, output: str, as_json: bool
) -> None:
    """Say what a policy reads, what it says, and how long its verdicts hold."""
    if node is None:
        found = _read(Path(policy_file))
    else:
        from yang.policy import read_policy

        with connected(cluster_of(ctx), node) as client:
            row = client.request("policy.show", Map({"name": policy_file}))
        found = read_policy(row["text"], row["file"])
    from yang.policy import explained

    document = explained(found)
    lines = [found.doc, ""]
    lines += [f"{title:<10} {value}" for title, value in document.items() if title != "doc"]
    text = "\n".join(lines)
    show_document("policy.explained", document, text, output="json" if as_json else output)


@policy.command()
@click.option("--on", "node", metavar="NODE", required=True)
@output_option
@click.pass_context
def reload(ctx: click.Context, node: str, output: str, as_json: bool) -> None:
    """Put in force what a node's configuration and its policy files say now; all of it, or nothing if something is wrong."""
    with connected(cluster_of(ctx), node) as client:
        rows = client.request("policy.reload", Map())["value"]
    _show_policies(rows, "json" if as_json else output)
