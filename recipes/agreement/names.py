"""What the sets, attributes and functional tests are called on the page and in its figures."""

from __future__ import annotations

SETS = {
    "rtp": "RealToxicityPrompts' continuations",
    "wiki": "Wikipedia comments",
    "jigsaw": "Jigsaw's comments",
}
HEADINGS = {"rtp": "RTP continuations", "wiki": "Wikipedia comments", "jigsaw": "Jigsaw, reserved"}
JUDGES = {
    "rtp": "Perspective ≥ 0.5",
    "wiki": "Perspective ≥ 0.5",
    "jigsaw": "crowd label",
}
ATTRIBUTES = {
    "toxicity": "toxic",
    "profanity": "obscene",
    "insult": "insult",
    "threat": "threat",
    "identity_attack": "identity attack",
}
CONTEXT = {
    "without": "annotators saw the comment alone",
    "with": "annotators saw the parent too",
    "scored with": "the same, scored with the parent before it",
}
BIAS = {
    "false_positives": "false positive rate",
    "subgroup": "subgroup AUROC",
    "bpsn": "BPSN AUROC",
    "bnsp": "BNSP AUROC",
}
TESTS = {
    "derog_neg_emote_h": "strong negative emotion",
    "derog_neg_attrib_h": "very negative description",
    "derog_dehum_h": "dehumanisation",
    "derog_impl_h": "implicit derogation",
    "threat_dir_h": "direct threat",
    "threat_norm_h": "threat as a norm",
    "slur_h": "slur",
    "profanity_h": "hate by profanity",
    "ref_subs_clause_h": "group named in an earlier clause",
    "ref_subs_sent_h": "group named in an earlier sentence",
    "negate_pos_h": "negated praise",
    "phrase_question_h": "hate as a question",
    "phrase_opinion_h": "hate as an opinion",
    "spell_char_swap_h": "swapped letters",
    "spell_char_del_h": "missing letters",
    "spell_space_del_h": "missing blanks",
    "spell_space_add_h": "added blanks",
    "spell_leet_h": "leet spelling",
    "slur_homonym_nh": "homonym of a slur",
    "slur_reclaimed_nh": "reclaimed slur",
    "profanity_nh": "profanity without hate",
    "negate_neg_nh": "negated hate",
    "ident_neutral_nh": "identity, neutral statement",
    "ident_pos_nh": "identity, positive statement",
    "counter_quote_nh": "denounced, hate quoted",
    "counter_ref_nh": "denounced, hate referred to",
    "target_obj_nh": "abuse of an object",
    "target_indiv_nh": "abuse of an individual",
    "target_group_nh": "abuse of an unprotected group",
}
"""HateCheck's functionalities (Röttger et al. 2021, Table 1) in a few words."""
