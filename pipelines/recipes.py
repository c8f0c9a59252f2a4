"""The stages of `synth` by command. The module of a stage is imported on demand."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from synth.pipelines.runtime.stage import Stage

__all__ = ["DATA", "PAPERS", "RECIPES", "STAGES", "paper_of", "stage_named"]

# The purpose of each recipe.
RECIPES = {
    "augment": "Evolve questions and answer the new ones (MuggleMath).",
    "reject": "Sample reasoning paths and select the correct ones (RFT).",
    "case2code": "Turn functions, calls and their outputs into tasks (Case2Code).",
    "dstc": "Make preference pairs from the programs and tests that a model writes for each task (DSTC).",
    "query-of-cc": "Find documents of a domain in a corpus (Query of CC).",
    "instag": "Tag instructions and select by tags (InsTag).",
    "self-lengthen": "Train a model to write longer texts from its own output (Self-Lengthen).",
    "character": "Write experiences of a person, to train a model that acts as that person (Character-LLM).",
    "rank": "Rank several responses to each query, and make preference pairs of them (RRHF).",
    "probe": "Tell which questions need retrieval, and which a model can answer itself (UAR).",
    "challenge": "Find what misleads a model, and write more questions of that kind (Self-Challenge).",
    "refine": "Have a model review and revise its own answers or tool calls (SELF, Self-correction, ToolACE-R).",
    "score": "Score texts with a model.",
    "embed": "Embed each row: one vector for its whole text, for clusters and neighbours.",
    "select": "Select what to train on, and in which order.",
    "think": "Append to documents what a model thinks about them, to pre-train on both (TPT).",
    "pack": "Pack documents into sequences for pre-training.",
}

# The paper of each recipe, or of a single stage: the name of its method, and its arXiv id.
PAPERS = {
    "augment": ("MuggleMath", "2310.05506"),
    "reject": ("RFT", "2308.01825"),
    "case2code": ("Case2Code", "2407.12504"),
    "dstc": ("DSTC", "2411.13611"),
    "query-of-cc": ("Query of CC", "2401.14624"),
    "instag": ("InsTag", "2308.07074"),
    "self-lengthen": ("Self-Lengthen", "2410.23933"),
    "character": ("Character-LLM", "2310.10158"),
    "rank": ("RRHF", "2304.05302"),
    "probe": ("UAR", "2406.12534"),
    "challenge": ("Self-Challenge", "2408.08978"),
    "refine skills": ("SELF", "2310.00533"),
    "refine self": ("SELF", "2310.00533"),
    "refine correct": ("Self-correction", "2401.07301"),
    "select difference": ("MiniPLM", "2410.17215"),
    "select clusterclip": ("ClusterClip", "2402.14526"),
    "think": ("TPT", "2509.20186"),
    "pack neighbors": ("In-Context Pretraining", "2310.10638"),
    "pack buckets": ("Dataset decomposition", "2405.13226"),
    "pack curriculum": ("Dataset decomposition", "2405.13226"),
    "refine tools": ("ToolACE-R", "2504.01400"),
    "refine tools select": ("ToolACE-R", "2504.01400"),
    "refine tools answer": ("ToolACE-R", "2504.01400"),
    "mix skill-it": ("Skill-It", "2307.14430"),
}

# Stages that belong to no recipe.
DATA = {
    "import": "Convert any inputs to a dataset directory.",
    "map": "Ask a model something about each row, with a prompt of your own.",
    "judge": "Score each row by a rubric of your own with a model as the judge, or with a reward model.",
    "mix": "Mix datasets by weight of rows or tokens, shuffled.",
    "filter": "Keep the rows that meet a condition in SQL.",
    "sample": "Keep a random sample of the rows.",
    "split": "Keep the part of the rows whose hash lies in a range, such as a training or a test set.",
    "columns": "Keep, drop or rename columns.",
    "join": "Add the columns of another dataset to the rows with the same key.",
    "dedup": "Remove duplicates: rows with the same text, the same URL, or nearly the same words.",
    "decontaminate": "Reject the rows that share 13 consecutive words with an evaluation set.",
}

STAGES = {
    "augment evolve": "augment.evolve:Evolve",
    "augment respond": "augment.respond:Respond",
    "reject sample": "reject.sample:SamplePaths",
    "reject select": "reject.select:SelectPaths",
    "reject curve": "reject.curve:Curve",
    "case2code functions": "case2code.functions:Functions",
    "case2code inputs": "case2code.inputs:Inputs",
    "case2code execute": "case2code.execute:Execute",
    "case2code compose": "case2code.compose:Compose",
    "case2code evaluate": "case2code.evaluate:EvaluateFunctions",
    "dstc": "dstc.pairs:Pairs",
    "query-of-cc bootstrap": "query_of_cc.bootstrap:Bootstrap",
    "query-of-cc dedup": "dedup.dedup:Dedup",
    "query-of-cc index": "query_of_cc.index:Index",
    "query-of-cc retrieve": "query_of_cc.retrieve:Retrieve",
    "query-of-cc decontaminate": "dedup.contamination:Decontaminate",
    "instag tag": "instag.tag:Tag",
    "instag normalize": "instag.normalize.normalize:Normalize",
    "instag select": "instag.select:SelectRows",
    "self-lengthen instruct": "self_lengthen.instruct:Instruct",
    "self-lengthen draft": "self_lengthen.draft:DraftResponses",
    "self-lengthen extend": "self_lengthen.extend:Extend",
    "self-lengthen drop-short": "self_lengthen.drop_short:DropShort",
    "self-lengthen curate": "self_lengthen.curate:Curate",
    "self-lengthen constrain": "self_lengthen.constrain:Constrain",
    "self-lengthen evaluate": "self_lengthen.evaluate:EvaluateLengths",
    "self-lengthen train": "self_lengthen.train:Train",
    "character scenes": "character.scenes:Scenes",
    "character perform": "character.perform:Perform",
    "character protect": "character.protect:Protect",
    "character convert": "character.convert:Convert",
    "rank sample": "rank.sample:SampleResponses",
    "rank score": "rank.score:ScoreResponses",
    "rank pairs": "rank.pairs:PairResponses",
    "probe self": "probe.known:ProbeSelf",
    "probe label": "probe.label:LabelNeeds",
    "probe balance": "probe.balance:Balance",
    "challenge patterns": "challenge.patterns:SummarizeFailures",
    "challenge questions": "challenge.questions:ChallengeQuestions",
    "challenge refine": "challenge.refine:RefinePatterns",
    "refine skills": "self_evolution.skills:Skills",
    "refine self": "self_evolution.evolve:RefineSelf",
    "refine correct": "self_correction.correct:Correct",
    "refine tools": "tools.measure:Measure",
    "refine tools select": "tools.select:SelectTools",
    "refine tools answer": "tools.answer:AnswerTools",
    "score nll": "miniplm.nll:ScoreTexts",
    "embed": "embed.embed:Embed",
    "select difference": "miniplm.difference:Difference",
    "select clusterclip": "clusterclip.select:ClusterClip",
    "think": "think.think:Think",
    "pack neighbors": "in_context.pack:PackNeighbors",
    "pack buckets": "decomposition.buckets:Buckets",
    "pack curriculum": "decomposition.curriculum:Curriculum",
    "pack sequences": "think.sequences:PackSequences",
    "import": "tables.import_:Import",
    "map": "prompted.map:Map",
    "judge": "prompted.judge:Judge",
    "mix": "tables.mix:Mix",
    "mix skill-it": "skill_it.skill_it:SkillIt",
    "filter": "tables.filter:Filter",
    "sample": "tables.sample:Sample",
    "split": "tables.split:Split",
    "columns": "tables.columns:Columns",
    "join": "tables.join:Join",
    "dedup": "dedup.dedup:Dedup",
    "decontaminate": "dedup.contamination:Decontaminate",
}


def paper_of(stage: str) -> tuple[str, str] | None:
    """The method and the arXiv id of the paper that a stage follows, or None if it follows none."""
    return (PAPERS.get(stage) or PAPERS.get(stage.split()[0])) if stage in STAGES else None


def stage_named(name: str) -> "type[Stage]":
    """The class of a stage in `STAGES`."""
    module, _, attribute = STAGES[name].partition(":")
    stage: type[Stage] = getattr(import_module(f"synth.pipelines.{module}"), attribute)
    return stage
