"""The hand-off in every order of deliveries, writes and crashes: what must hold, and that mistakes are found.

`make explore` has larger bounds; `python -m exploring --trace MISTAKE` prints the shortest way to a mistake.
"""

from __future__ import annotations

import pytest
from explored import Behaviour, Journey, Node, Parcel, Rules
from exploring import BACK, EITHER, SHALLOW, World, report
from mistakes import HARMLESS, MISTAKES
from msgspec.structs import replace


@pytest.mark.parametrize("name", SHALLOW)
def test_an_agent_gets_to_its_end_exactly_once(name: str) -> None:
    found = report(name, SHALLOW[name])
    assert found.wrong == ""
    assert found.states > 400


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_put_in_is_found_with_the_shortest_way_to_it(name: str) -> None:
    mistake = MISTAKES[name]
    found = report(name, mistake.journey, mistake.rules, shortest=True)
    assert found.wrong != ""
    assert 3 <= len(found.trace) <= 40
    right = World(mistake.journey).explore()
    assert right.wrong == ""


@pytest.mark.parametrize("name", HARMLESS)
def test_what_only_looks_like_a_mistake_is_none(name: str) -> None:
    assert report(name, HARMLESS[name].journey, HARMLESS[name].rules).wrong == ""


def test_the_way_to_a_mistake_reads_as_a_story() -> None:
    mistake = MISTAKES["own sent before it is durable"]
    found = World(mistake.journey, mistake.rules).explore(shortest=True)
    assert found.trace == (
        "A: the agent acts at epoch 0",
        "A: the effect of epoch 0 is durable",
        "A: the agent hops to B",
        "A: Given(1, 1) is durable",
        "B receives Offer(1, 1) of A",
        "B receives Go(1, 1) of A",
        "B: finds the offer good",
        "A receives Own(1, 1) of B",
        "B: crashes and restarts",
        "and from here the agent cannot get to its end",
    )


# -- the exploration itself, against one without any of its short cuts --

Plain = tuple[tuple[Node, ...], frozenset[Parcel]]


def reached_plainly(journey: Journey, rules: Rules) -> set[tuple[Node, ...]]:
    """Return all that the nodes can come to, found by doing everything that can be done."""
    behaviour = Behaviour(rules, journey)
    first: Plain = tuple(behaviour.first(name) for name in journey.names), frozenset()
    seen, waiting = {first}, [first]
    while waiting:
        nodes, network = waiting.pop()
        for place, node in enumerate(nodes):
            outcomes = [(step.after, step.sent) for step in behaviour.own_steps(node)]
            outcomes += [
                behaviour.receive(node, parcel) for parcel in network if parcel[1] == node.name
            ]
            for after, sent in outcomes:
                state = (*nodes[:place], after, *nodes[place + 1 :]), network | set(sent)
                if state not in seen:
                    seen.add(state)
                    waiting.append(state)
    return {nodes for nodes, _ in seen}


@pytest.mark.parametrize(
    "journey",
    [
        Journey(crashes=1),
        Journey(crashes=0, refusals=1, attempts=2),
        Journey(BACK, crashes=0),
        Journey(EITHER, crashes=0, attempts=1),
        Journey(crashes=0, refusals=1, drops=1),
    ],
)
def test_leaving_states_out_leaves_no_node_s_state_out(journey: Journey) -> None:
    assert World(journey).reached() == reached_plainly(journey, Rules())


def test_a_longer_journey_has_more_states() -> None:
    counts = [World(replace(Journey(BACK), crashes=n)).explore().states for n in range(3)]
    assert counts == sorted(set(counts))
