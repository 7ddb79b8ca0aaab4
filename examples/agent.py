"""An agent that reads a document, summarises it and asks a person: a LangGraph graph with no language model in it.

    split -> read_passage (one task a passage, side by side) -> summarise -> review -> end
                                                                   ^------- longer

After the approval each further call on the thread answers a question. The state is plain data and bytes.
"""

from __future__ import annotations

import io
import logging
import math
import re
from collections import Counter
from operator import add
from typing import Annotated, Any, Literal, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send, interrupt
from pypdf import PdfReader

PASSAGE_WORDS = 90
MAX_PASSAGES = 24
#: Passages are part of the state, which has a limit: of a longer text only the beginning is read.
MAX_CHARACTERS = 1_000_000
SUMMARY_SENTENCES = 2
KEYWORDS = 12
_SENTENCE_WORDS = range(6, 46)

# Markdown's headings; and, in the text of a PDF, a short line without a full stop between two sentences.
_HEADING = re.compile(r"^#+ .*$|^\d*\n?[A-Z][^\n.!?:]{0,40}\n(?=[A-Z])", re.MULTILINE)
_WORD = re.compile(r"[^\W\d_]{4,}")
_COMMON_WORDS = """
about above after again also always another because been before being below between both could does down during each else every from
further have having here however into itself just less like many more most must need never nothing often once only other otherwise
over same several should since some such than that their them then there therefore these they this those though through under until
upon very were what when where whether which while will with without would your
"""
_COMMON = frozenset(_COMMON_WORDS.split())


class UnreadableDocument(Exception):
    """A file without text that this agent could read."""


class Note(TypedDict):
    """What one task found in one passage."""

    passage: int
    sentence: str
    counts: dict[str, int]


class Message(TypedDict):
    """One line of the conversation."""

    role: Literal["agent", "person"]
    text: str


class State(TypedDict, total=False):
    """What an agent knows; every key is a channel, stored when it changes."""

    name: str
    file: bytes
    passages: list[str]
    notes: Annotated[list[Note], add]
    keywords: list[str]
    sentences: int
    summary: str
    approved: bool
    question: str
    answer: str
    messages: Annotated[list[Message], add]


class PassageTask(TypedDict):
    """What one `read_passage` task is sent."""

    passage: int
    text: str


# --- text ------------------------------------------------------------------------------------------------------------


def passages_of(name: str, file: bytes) -> list[str]:
    """The passages of a text or PDF file, in order, at most `MAX_PASSAGES`.

    Raises:
        UnreadableDocument: it is neither text nor a PDF, is damaged or locked, or holds no words.
    """
    text = _text(name, file)[:MAX_CHARACTERS]
    sentences = re.split(r"(?<=[.!?])\s+", " ".join(_HEADING.sub("", text).replace("**", "").split()))
    total = sum(len(sentence.split()) for sentence in sentences)
    if not total:
        raise UnreadableDocument(f"{name} holds no text")
    return _packed(sentences, max(PASSAGE_WORDS, math.ceil(total / MAX_PASSAGES)))


def _text(name: str, file: bytes) -> str:
    if not file.startswith(b"%PDF"):
        if b"\0" in file:
            raise UnreadableDocument(f"{name} is neither text nor PDF")
        return file.decode("utf-8-sig", errors="replace")
    logging.getLogger("pypdf").setLevel(logging.ERROR)
    try:
        text = "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(file)).pages)
    except Exception as exc:  # A damaged PDF can make its reader fail in any way.
        raise UnreadableDocument(f"{name} can't be read as a PDF ({type(exc).__name__})") from exc
    return text.encode(errors="replace").decode()  # A PDF's fonts may yield half of a surrogate pair.


def _packed(sentences: list[str], words: int) -> list[str]:
    packed: list[list[str]] = [[]]
    count = 0
    for sentence in sentences:
        if count >= words:
            packed.append([])
            count = 0
        packed[-1].append(sentence)
        count += len(sentence.split())
    return [" ".join(passage) for passage in packed]


def _words(text: str) -> list[str]:
    return [word for word in _WORD.findall(text.lower()) if word not in _COMMON]


def _best_sentence(text: str, weights: Counter[str]) -> str:
    sentences = re.split(r"(?<=[.!?])\s+", text)
    fitting = [sentence for sentence in sentences if len(sentence.split()) in _SENTENCE_WORDS]
    return max(fitting or [" ".join(text.split()[:40])], key=lambda sentence: _mean_weight(sentence, weights))


def _mean_weight(sentence: str, weights: Counter[str]) -> float:
    # Roots keep a word that is everywhere from deciding alone; the count in the divisor leaves longer sentences a chance.
    words = set(_words(sentence))
    return sum(math.sqrt(weights[word]) for word in words) / math.sqrt(1 + len(words))


def _merged_plurals(counts: Counter[str]) -> Counter[str]:
    merged: Counter[str] = Counter()
    for word, count in counts.items():
        merged[word[:-1] if word.endswith("s") and word[:-1] in counts else word] += count
    return merged


# --- nodes -----------------------------------------------------------------------------------------------------------


def begin(state: State) -> Literal["split", "answer"]:
    return "answer" if state.get("approved") else "split"


def split(state: State) -> State:
    passages = passages_of(state["name"], state["file"])
    return {"passages": passages, "messages": [_says("agent", f"{state['name']} has {len(passages)} passages; I read them all.")]}


def fan_out(state: State) -> list[Send]:
    return [Send("read_passage", PassageTask(passage=index, text=text)) for index, text in enumerate(state["passages"])]


def read_passage(state: PassageTask) -> State:
    counts = Counter(_words(state["text"]))
    note = Note(passage=state["passage"], sentence=_best_sentence(state["text"], counts), counts=dict(counts.most_common(KEYWORDS)))
    return {"notes": [note]}


def summarise(state: State) -> State:
    notes = state["notes"]
    total = _merged_plurals(sum((Counter(note["counts"]) for note in notes), Counter()))
    best = sorted(notes, key=lambda note: -_mean_weight(note["sentence"], total))[: state.get("sentences", SUMMARY_SENTENCES)]
    summary = " ".join(note["sentence"] for note in sorted(best, key=lambda note: note["passage"]))
    return {"keywords": [word for word, _ in total.most_common(KEYWORDS)], "summary": summary, "messages": [_says("agent", summary)]}


def review(state: State) -> Command[Literal["summarise", "__end__"]]:
    said: str = interrupt({"question": f"Approve this summary of {state['name']}?", "summary": state["summary"]})
    if said == "approve":
        return Command(update={"approved": True, "messages": [_says("person", said)]}, goto="__end__")
    longer = state.get("sentences", SUMMARY_SENTENCES) + 1
    return Command(update={"sentences": longer, "messages": [_says("person", said)]}, goto="summarise")


def answer(state: State) -> State:
    passages, asked = [text.lower() for text in state["passages"]], set(_words(state["question"]))
    rarity = {word: math.log(1 + len(passages) / (1 + sum(word in text for text in passages))) for word in asked}
    scores = [sum(rarity[word] * math.sqrt(text.count(word)) for word in asked) for text in passages]
    found = state["passages"][scores.index(max(scores))]
    weights = Counter({word: 100 for word in _words(found) if word.startswith(tuple(asked))})
    said = _best_sentence(found, weights)
    return {"answer": found, "messages": [_says("person", state["question"]), _says("agent", said)]}


def _says(role: Literal["agent", "person"], text: str) -> Message:
    return Message(role=role, text=text)


def reading_agent() -> StateGraph[State, Any, Any, Any]:
    """The graph, to be compiled with a checkpointer."""
    graph = StateGraph(State)
    graph.add_node(split)
    graph.add_node(read_passage, input_schema=PassageTask)
    graph.add_node(summarise)
    graph.add_node(review)
    graph.add_node(answer)
    graph.add_conditional_edges(START, begin)
    graph.add_conditional_edges("split", fan_out, ["read_passage"])
    graph.add_edge("read_passage", "summarise")
    graph.add_edge("summarise", "review")
    graph.add_edge("answer", END)
    return graph
