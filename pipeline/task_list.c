/* The table of tasks and groups. */
#include <stdlib.h>
#include <string.h>

#include "pipeline/metrics.h"
#include "pipeline/python_text.h"
#include "pipeline/suites.h"
#include "pipeline/task_parts.h"

static const lrp_task_group groups[] = {
    {"mmlu", 2.0, NULL},
    {"mmlu_stem", 2.0, &groups[0]},
    {"mmlu_other", 2.0, &groups[0]},
    {"mmlu_social_sciences", 2.0, &groups[0]},
    {"mmlu_humanities", 2.0, &groups[0]},
    {"truthfulqa", 1.0, NULL},
};

enum { n_groups = sizeof groups / sizeof groups[0] };

/* A text or two, and the names of the labels. */
#define GLUE(task, field1, field2, n0, n1, scores)                                               \
  {                                                                                              \
    .name = #task, .files = {"glue/" #task "/validation.jsonl"}, .dataset = "nyu-mll/glue",      \
    .subset = #task, .version = 1.0, .output = LRP_CLASSES, .metrics = &scores,                  \
    .texts = {field1, field2}, .labels = {n0, n1}, .max_length = 128, .build = lrp_build_classes \
  }

/* A folder per subject, or one file for all. */
#define SUBJECT(subject, parent)                                                            \
  {                                                                                         \
    .name = "mmlu_" #subject, .files = {"mmlu/" #subject "/test.jsonl", "mmlu/test.jsonl"}, \
    .dataset = "cais/mmlu", .subset = #subject, .version = 1.0, .by_subject = true,         \
    .metrics = &lrp_accuracy, .group = &groups[parent], .shots = LRP_SHOTS_FIRST,           \
    .fewshot_split = "dev", .build = lrp_build_mmlu                                         \
  }
#define STEM(subject)       SUBJECT(subject, 1)
#define OTHER(subject)      SUBJECT(subject, 2)
#define SOCIAL(subject)     SUBJECT(subject, 3)
#define HUMANITIES(subject) SUBJECT(subject, 4)

static const lrp_task_kind kinds[] = {
    {.name = "arc_easy",
     .files = {"ai2_arc/ARC-Easy/test.jsonl"},
     .dataset = "allenai/ai2_arc",
     .subset = "ARC-Easy",
     .version = 1.0,
     .metrics = &lrp_accuracies,
     .shots = LRP_SHOTS_DRAWN,
     .build = lrp_build_arc},
    {.name = "arc_challenge",
     .files = {"ai2_arc/ARC-Challenge/test.jsonl"},
     .dataset = "allenai/ai2_arc",
     .subset = "ARC-Challenge",
     .version = 1.0,
     .metrics = &lrp_accuracies,
     .shots = LRP_SHOTS_DRAWN,
     .build = lrp_build_arc},
    {.name = "hellaswag",
     .files = {"hellaswag/validation.jsonl"},
     .dataset = "Rowan/hellaswag",
     .version = 1.0,
     .metrics = &lrp_accuracies,
     .shots = LRP_SHOTS_DRAWN,
     .build = lrp_build_hellaswag},
    {.name = "winogrande",
     .files = {"winogrande/winogrande_xl/validation.jsonl"},
     .dataset = "allenai/winogrande",
     .subset = "winogrande_xl",
     .version = 1.0,
     .metrics = &lrp_accuracy,
     .shots = LRP_SHOTS_DRAWN,
     .build = lrp_build_winogrande},
    {.name = "piqa",
     .files = {"piqa/validation.jsonl"},
     .dataset = "baber/piqa",
     .version = 1.0,
     .metrics = &lrp_accuracies,
     .shots = LRP_SHOTS_DRAWN,
     .build = lrp_build_piqa},
    {.name = "boolq",
     .files = {"super_glue/boolq/validation.jsonl"},
     .dataset = "aps/super_glue",
     .subset = "boolq",
     .version = 2.0,
     .metrics = &lrp_accuracy,
     .shots = LRP_SHOTS_DRAWN,
     .build = lrp_build_boolq},
    {.name = "openbookqa",
     .files = {"openbookqa/main/test.jsonl", "openbookqa/main/validation.jsonl"},
     .dataset = "allenai/openbookqa",
     .subset = "main",
     .version = 1.0,
     .metrics = &lrp_accuracies,
     .shots = LRP_SHOTS_DRAWN,
     .build = lrp_build_openbookqa},
    {.name = "sciq",
     .files = {"sciq/test.jsonl", "sciq/validation.jsonl"},
     .dataset = "allenai/sciq",
     .version = 1.0,
     .metrics = &lrp_accuracies,
     .shots = LRP_SHOTS_DRAWN,
     .build = lrp_build_sciq},
    {.name = "truthfulqa_mc1",
     .files = {"truthful_qa/multiple_choice/validation.jsonl"},
     .dataset = "truthful_qa",
     .subset = "multiple_choice",
     .version = 2.0,
     .metrics = &lrp_accuracy,
     .group = &groups[5],
     .build = lrp_build_truthfulqa_mc1},
    {.name = "truthfulqa_mc2",
     .files = {"truthful_qa/multiple_choice/validation.jsonl"},
     .dataset = "truthful_qa",
     .subset = "multiple_choice",
     .version = 3.0,
     .metrics = &lrp_truth_mass,
     .group = &groups[5],
     .build = lrp_build_truthfulqa_mc2},
    {.name = "gsm8k",
     .files = {"gsm8k/main/test.jsonl"},
     .dataset = "openai/gsm8k",
     .subset = "main",
     .version = 3.0,
     .output = LRP_GENERATE,
     .metrics = &lrp_exact_matches,
     .shots = LRP_SHOTS_DRAWN,
     .num_fewshot = 5,
     .fewshot_split = "train",
     .stops = {"Question:", "</s>", "<|im_end|>"},
     .max_new = 256,
     .build = lrp_build_gsm8k},
    {.name = "lambada_openai",
     .files = {"lambada_openai/test.jsonl"},
     .dataset = "EleutherAI/lambada_openai",
     .version = 1.0,
     .output = LRP_LOGLIKELIHOOD,
     .metrics = &lrp_last_word,
     .build = lrp_build_lambada},
    {.name = "wikitext",
     .files = {"wikitext/wikitext-2-raw-v1/test.jsonl"},
     .dataset = "EleutherAI/wikitext_document_level",
     .subset = "wikitext-2-raw-v1",
     .version = 2.0,
     .output = LRP_ROLLING,
     .metrics = &lrp_text_perplexities,
     .build = lrp_build_wikitext},
    {.name =
         "token_perplexity", /* no task of the harness: what papers call WikiText-2 perplexity */
     .files = {"wikitext/wikitext-2-raw-v1/test.jsonl"},
     .dataset = "EleutherAI/wikitext_document_level",
     .subset = "wikitext-2-raw-v1",
     .version = 1.0,
     .output = LRP_TOKEN_WINDOWS,
     .metrics = &lrp_token_perplexities},
    GLUE(sst2, "sentence", NULL, "negative", "positive", lrp_accuracy),
    GLUE(mrpc, "sentence1", "sentence2", "not_equivalent", "equivalent", lrp_accuracy_and_f1),
    GLUE(cola, "sentence", NULL, "unacceptable", "acceptable", lrp_matthews),
    GLUE(rte, "sentence1", "sentence2", "entailment", "not_entailment", lrp_accuracy),
    {.name = "squad",
     .files = {"squad/validation.jsonl", "squad/plain_text/validation.jsonl"},
     .dataset = "rajpurkar/squad",
     .subset = "plain_text",
     .version = 1.1,
     .output = LRP_SPANS,
     .metrics = &lrp_answers,
     .max_length = 384,
     .build = lrp_build_squad},
    {.name = "pseudo_perplexity", /* no task of the harness: every token is masked once */
     .files = {"wikitext/wikitext-2-raw-v1/test.jsonl"},
     .dataset = "EleutherAI/wikitext_document_level",
     .subset = "wikitext-2-raw-v1",
     .version = 1.0,
     .output = LRP_BLANKS,
     .metrics = &lrp_pseudo_perplexities,
     .max_length = 128},
    STEM(abstract_algebra),
    STEM(anatomy),
    STEM(astronomy),
    STEM(college_biology),
    STEM(college_chemistry),
    STEM(college_computer_science),
    STEM(college_mathematics),
    STEM(college_physics),
    STEM(computer_security),
    STEM(conceptual_physics),
    STEM(electrical_engineering),
    STEM(elementary_mathematics),
    STEM(high_school_biology),
    STEM(high_school_chemistry),
    STEM(high_school_computer_science),
    STEM(high_school_mathematics),
    STEM(high_school_physics),
    STEM(high_school_statistics),
    STEM(machine_learning),
    OTHER(business_ethics),
    OTHER(clinical_knowledge),
    OTHER(college_medicine),
    OTHER(global_facts),
    OTHER(human_aging),
    OTHER(management),
    OTHER(marketing),
    OTHER(medical_genetics),
    OTHER(miscellaneous),
    OTHER(nutrition),
    OTHER(professional_accounting),
    OTHER(professional_medicine),
    OTHER(virology),
    SOCIAL(econometrics),
    SOCIAL(high_school_geography),
    SOCIAL(high_school_government_and_politics),
    SOCIAL(high_school_macroeconomics),
    SOCIAL(high_school_microeconomics),
    SOCIAL(high_school_psychology),
    SOCIAL(human_sexuality),
    SOCIAL(professional_psychology),
    SOCIAL(public_relations),
    SOCIAL(security_studies),
    SOCIAL(sociology),
    SOCIAL(us_foreign_policy),
    HUMANITIES(formal_logic),
    HUMANITIES(high_school_european_history),
    HUMANITIES(high_school_us_history),
    HUMANITIES(high_school_world_history),
    HUMANITIES(international_law),
    HUMANITIES(jurisprudence),
    HUMANITIES(logical_fallacies),
    HUMANITIES(moral_disputes),
    HUMANITIES(moral_scenarios),
    HUMANITIES(philosophy),
    HUMANITIES(prehistory),
    HUMANITIES(professional_law),
    HUMANITIES(world_religions),
};

enum { n_kinds = sizeof kinds / sizeof kinds[0] };

const lrp_task_kind *lrp_task_kinds(int *n) {
  *n = n_kinds;
  return kinds;
}

const lrp_task_kind *lrp_task_find(const char *name) {
  for (int i = 0; i < n_kinds; i++) {
    if (strcmp(kinds[i].name, name) == 0) return &kinds[i];
  }
  return NULL;
}

const lrp_task_group *lrp_task_groups(int *n) {
  *n = n_groups;
  return groups;
}

const lrp_task_group *lrp_task_group_find(const char *name) {
  for (int i = 0; i < n_groups; i++) {
    if (strcmp(groups[i].name, name) == 0) return &groups[i];
  }
  return NULL;
}

bool lrp_task_group_within(const lrp_task_group *group, const lrp_task_group *ancestor) {
  while (group && group != ancestor) group = group->parent;
  return group;
}

const char *const *lrp_task_names(int *n) {
  static const char *names[n_kinds + n_groups + LRP_MAX_SUITES];
  int n_suites;
  const lrp_task_suite *suites = lrp_suites(&n_suites);
  for (int i = 0; i < n_groups; i++) names[i] = groups[i].name;
  for (int i = 0; i < n_kinds; i++) names[n_groups + i] = kinds[i].name;
  for (int i = 0; i < n_suites; i++) names[n_groups + n_kinds + i] = suites[i].name;
  *n = n_groups + n_kinds + n_suites;
  return names;
}

int lrp_task_label_count(const lrp_task_kind *kind) {
  int n = 0;
  while (n < LRP_TASK_LABELS && kind->labels[n]) n++;
  return n;
}

char *lrp_task_description(const lrp_task_kind *kind) {
  if (!kind->by_subject) return lrp_text_format("%s", "");
  char *text = lrp_text_format(
      "The following are multiple choice questions (with answers) about %s.\n\n", kind->subset);
  for (char *p = text; p && *p; p++) {
    if (*p == '_') *p = ' ';
  }
  return text;
}
