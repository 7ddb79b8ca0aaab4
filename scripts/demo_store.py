"""A store to show: a support agent's conversations, with a fork, a subgraph, an interrupt, a picture and a PDF.

`python scripts/demo_store.py demo.sqlite` fills one. Texts are the same each time; times are those of the last four weeks.
"""

from __future__ import annotations

import io
import operator
import random
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import matplotlib
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import interrupt
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from typing_extensions import TypedDict

from ckptstore import BlobRef, SQLAlchemySaver

matplotlib.use("agg")

#: The thread that has everything.
SHOWN = "support-4711"
DAYS = 28
_THREADS = 62
_SYSTEM = "You are the support agent of Lindenhof Ceramics. Be brief and kind. Refunds above 50 EUR need a colleague's approval."


@dataclass
class Customer:
    """A class of the application's own: the inspector shows it without importing it."""

    name: str
    email: str
    since: int


class Support(MessagesState, total=False):
    """The state of the agent."""

    customer: Customer
    order: dict[str, Any]
    photo: bytes
    invoice: BlobRef
    tools_used: Annotated[list[str], operator.add]
    confidence: float


class Refund(TypedDict, total=False):
    """The state of the subgraph."""

    amount: float
    reason: str
    approved: bool


class Clock:
    """The time of each write: it goes on by some seconds with each."""

    def __init__(self, start: datetime) -> None:
        self.time = start

    def __call__(self) -> datetime:
        self.time += timedelta(seconds=2.4)
        return self.time


# --- files


def photo() -> bytes:
    """What a customer might send: a broken cup in its box, as PNG."""
    figure = Figure(figsize=(6.4, 4.2), dpi=100, facecolor="#c9b08d")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 64), ylim=(0, 42))
    axes.axis("off")
    chance = random.Random(3)
    for _ in range(900):
        x, y = chance.uniform(0, 64), chance.uniform(0, 42)
        axes.plot([x, x + chance.uniform(-2, 2)], [y, y + chance.uniform(-1, 1)], color="#e8d9bd", linewidth=chance.uniform(0.4, 1.6))
    axes.add_patch(Polygon([(18, 8), (46, 8), (49, 32), (15, 32)], color="#2f5d73"))
    axes.add_patch(Polygon([(46, 13), (56, 15), (57, 26), (48, 27), (47.6, 24), (53, 23.4), (52.6, 17.8), (46.6, 16.6)], color="#28505f"))
    axes.add_patch(Polygon([(28, 32), (30, 24), (27, 19), (31, 14), (32.4, 14), (29.4, 19.4), (32, 24.6), (31, 32)], color="#c9b08d"))
    axes.add_patch(Polygon([(15, 32), (49, 32), (48, 35), (16, 35)], color="#3c7590"))
    axes.add_patch(Polygon([(6, 5), (12, 3), (14, 9), (8, 11)], color="#2f5d73"))
    return _saved(figure, "png")


def invoice() -> bytes:
    """The invoice of the order, as PDF."""
    figure = Figure(figsize=(8.27, 11.69))
    lines = [
        (0.90, "Lindenhof Ceramics", 20, "bold"),
        (0.86, "Invoice 2026-10442          Order A-90233", 11, "normal"),
        (0.80, "Ann Bergmann, Am Kanal 3, 24103 Kiel", 11, "normal"),
        (0.72, "2  cup, blue glaze                                         64.00 EUR", 11, "normal"),
        (0.69, "1  teapot, blue glaze                                    118.00 EUR", 11, "normal"),
        (0.64, "Total                                                          182.00 EUR", 11, "bold"),
        (0.58, "Paid by card on 9 November 2026. Thank you!", 11, "normal"),
    ]
    for y, text, size, weight in lines:
        figure.text(0.12, y, text, fontsize=size, fontweight=weight)
    return _saved(figure, "pdf")


def _saved(figure: Figure, format_: str) -> bytes:
    out = io.BytesIO()
    # Without the time and the name of the program: the same bytes each time.
    figure.savefig(out, format=format_, metadata={"CreationDate": None} if format_ == "pdf" else {"Software": None})
    return out.getvalue()


# --- graphs


class Script:
    """What the agent says, turn by turn, in place of a model."""

    def __init__(self, turns: list[dict[str, Any]]) -> None:
        self._turns = iter(turns)

    def __call__(self, _: Support) -> dict[str, Any]:
        return next(self._turns, {"messages": [AIMessage("Is there anything else that I can do for you?")]})


def graph(saver: SQLAlchemySaver, agent: Script, tools: dict[str, dict[str, Any]]) -> CompiledStateGraph[Any, Any, Any, Any]:
    """An agent with tools, and a subgraph that asks a colleague before it refunds."""

    def ask(state: Refund) -> dict[str, Any]:
        return {
            "approved": interrupt({"question": f"Refund {state['amount']:.2f} EUR?", "reason": state["reason"], "customer": "Ann Bergmann"})
        }

    refunding = StateGraph(Refund).add_node("approve", ask).add_edge(START, "approve").compile()

    def refund(_: Support) -> dict[str, Any]:
        done = refunding.invoke({"amount": 64.0, "reason": "broken on arrival, photo attached"})
        return {"messages": [AIMessage(f"Done: the refund is {'on its way' if done['approved'] else 'not possible'}.")]}

    def use_tools(state: Support) -> dict[str, Any]:
        calls = [call for call in _last(state).tool_calls if call["name"] in tools]
        answers = [ToolMessage(str(tools[call["name"]]["says"]), tool_call_id=call["id"], name=call["name"]) for call in calls]
        found: dict[str, Any] = {"messages": answers, "tools_used": [call["name"] for call in calls]}
        for call in calls:
            found |= tools[call["name"]].get("gives", {})
        return found

    def following(state: Support) -> str:
        names = [call["name"] for call in _last(state).tool_calls] if isinstance(state["messages"][-1], AIMessage) else []
        return "refund" if "refund" in names else "tools" if names else "__end__"

    builder = StateGraph(Support).add_node("agent", agent).add_node("tools", use_tools).add_node("refund", refund)
    builder.add_edge(START, "agent").add_edge("tools", "agent")
    builder.add_conditional_edges("agent", following, ["tools", "refund", "__end__"])
    return builder.compile(checkpointer=saver)


def _last(state: Support) -> Any:
    return state["messages"][-1]


def calling(text: str, name: str, number: int, **arguments: Any) -> dict[str, Any]:
    """A turn that calls a tool."""
    call = {"name": name, "args": arguments, "id": f"call_{number}", "type": "tool_call"}
    tokens = {"input_tokens": 612 + 40 * number, "output_tokens": 31, "total_tokens": 643 + 40 * number}
    return {"messages": [AIMessage(text, tool_calls=[call], usage_metadata=tokens)]}


# --- conversations


def everything(saver: SQLAlchemySaver) -> None:
    """One conversation with all that there is to see."""
    customer = Customer("Ann Bergmann", "ann@example.org", 2019)
    order = {"id": "A-90233", "placed": "2026-11-09", "items": [{"name": "cup, blue glaze", "count": 2}, {"name": "teapot", "count": 1}]}
    order |= {"total": 182.0, "status": "delivered", "carrier": {"name": "Nordpost", "tracking": "NP44812093DE"}}
    handle = saver.blobs.put(invoice(), media_type="application/pdf").result()
    tools: dict[str, dict[str, Any]] = {
        "look_up_order": {"says": '{"id": "A-90233", "status": "delivered", "total": 182.0}', "gives": {"order": order, "invoice": handle}},
        "look_up_policy": {
            "says": "Broken on arrival: refund or new piece; a photo is enough.",
            "gives": {"confidence": 0.93},
        },
    }
    turns = [
        calling("I'm sorry to hear that. Let me look at your order.", "look_up_order", 1, order_id="A-90233", with_invoice=True),
        calling("", "look_up_policy", 2, question="cup broken on arrival"),
        {"messages": [AIMessage("One of your cups arrived broken. Would you rather have a refund of 32.00 EUR, or a new cup?")]},
        {"messages": [AIMessage("A new cup is on its way, and you need not send the broken one back.")], "confidence": 0.97},
        calling("I'll ask a colleague to approve 64.00 EUR for both cups.", "refund", 3, amount=64.0),
    ]
    run = graph(saver, Script(turns), tools)
    about = {
        "user_id": "ann",
        "channel": "chat",
        "topic": "damage",
        "priority": 2,
        "tags": ["refund", "photo"],
        "agent": {"version": "3.2"},
    }
    where: RunnableConfig = {"configurable": {"thread_id": SHOWN}, "metadata": about}
    begun: list[AnyMessage] = [
        SystemMessage(_SYSTEM),
        HumanMessage("Hello! My parcel (order A-90233) came today, and one of the cups is broken. Here is a photo."),
    ]
    run.invoke({"messages": begun, "customer": customer, "photo": photo()}, where)
    base: RunnableConfig = {**next(iter(run.get_state_history(where))).config, "metadata": about}
    run.invoke({"messages": [HumanMessage("A new cup, please!")]}, base)
    # What if she had asked for the money?
    run.invoke({"messages": [HumanMessage("Both have cracks, now that I look closer. A refund, please.")]}, base)


_QUESTIONS = (
    ("delivery", "Where is my parcel?", "It is with the carrier, and will be there tomorrow before noon."),
    ("delivery", "Can you deliver to a neighbour?", "Yes. Whom may we give it to?"),
    ("returns", "I'd like to send the bowl back.", "Of course. Here is a label: print it, and drop the parcel at any shop of Nordpost."),
    ("invoice", "I need an invoice with my company's name.", "I have sent a corrected one to your address."),
    ("care", "Is the blue glaze safe in a dishwasher?", "It is. Only pieces with gold should be washed by hand."),
    ("order", "Can I change the colour of my order?", "As it is not packed yet, yes: to which one?"),
)
_USERS = ("ann", "ben", "chiara", "dmitri", "elif", "farid", "greta", "hugo", "ines", "jonas", "kemal", "lena")


def small_talk(saver: SQLAlchemySaver, number: int, chance: random.Random) -> None:
    """A conversation of some turns."""
    turns = 1 + min(int(chance.paretovariate(1.1)), 14)
    chosen = [chance.choice(_QUESTIONS) for _ in range(turns)]
    run = graph(
        saver, Script([{"messages": [AIMessage(answer)], "confidence": round(chance.uniform(0.6, 1), 2)} for *_, answer in chosen]), {}
    )
    about = {"user_id": chance.choice(_USERS), "channel": chance.choice(("chat", "email", "phone")), "topic": chosen[0][0]}
    about |= {"priority": chance.choice((1, 1, 1, 2, 3)), "agent": {"version": chance.choice(("3.1", "3.2"))}}
    where: RunnableConfig = {"configurable": {"thread_id": f"support-{number}"}, "metadata": about}
    for turn, (_, question, _) in enumerate(chosen):
        run.invoke({"messages": [*([SystemMessage(_SYSTEM)] if not turn else []), HumanMessage(question)]}, where)


def fill(url: str, now: datetime) -> None:
    """Fill an empty store with the conversations of four weeks."""
    chance = random.Random(11)
    clock = Clock(now)
    with SQLAlchemySaver.from_conn_string(url, clock=clock) as saver:
        ages = sorted((chance.betavariate(1, 2.2) * DAYS * 24 * 60 for _ in range(_THREADS)), reverse=True)
        for number, minutes in enumerate(ages):
            clock.time = now - timedelta(minutes=minutes + 20)
            small_talk(saver, 4649 + number, chance)
        clock.time = now - timedelta(minutes=12)
        everything(saver)


if __name__ == "__main__":
    fill(sys.argv[1], datetime.now(UTC))
