"""One minute of ckptstore: a graph whose state outlives it. Run it twice: the count goes on."""

from operator import add
from typing import Annotated, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph

from ckptstore import SQLAlchemySaver


class State(TypedDict, total=False):
    """A chat that counts its turns."""

    turns: Annotated[int, add]
    messages: Annotated[list[str], add]


def echo(state: State) -> State:
    return {"turns": 1, "messages": [f"you said: {state['messages'][-1]}"]}


builder = StateGraph(State)
builder.add_node("echo", echo)
builder.add_edge(START, "echo")
builder.add_edge("echo", END)

with SQLAlchemySaver.from_conn_string("checkpoints.sqlite") as saver:
    graph = builder.compile(checkpointer=saver)
    thread: RunnableConfig = {"configurable": {"thread_id": "my-first-thread"}}
    graph.invoke({"messages": ["hello"]}, thread)
    graph.invoke({"messages": ["are you still there?"]}, thread)

    print(graph.get_state(thread).values)
    for snapshot in graph.get_state_history(thread):
        print(snapshot.created_at, snapshot.next, snapshot.values)
