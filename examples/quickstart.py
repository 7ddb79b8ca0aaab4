"""One minute of ckptstore: a graph whose state outlives it. Run it twice: the conversation goes on."""

from langgraph.graph import END, START, MessagesState, StateGraph

from ckptstore import SQLAlchemySaver

builder = StateGraph(MessagesState)
builder.add_node("answer", lambda state: {"messages": [("ai", f"that was message {len(state['messages'])}")]})
builder.add_edge(START, "answer")
builder.add_edge("answer", END)

with SQLAlchemySaver.from_conn_string("checkpoints.sqlite") as saver:
    graph = builder.compile(checkpointer=saver)
    state = graph.invoke({"messages": [("user", "hello")]}, {"configurable": {"thread_id": "my-first-thread"}})
    for message in state["messages"]:
        print(f"{message.type}: {message.content}")
