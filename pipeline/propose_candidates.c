/* Which configurations are worth evaluating: a part of pipeline/propose.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/choose_names.h"
#include "pipeline/paper_lists.h"
#include "pipeline/propose.h"
#include "pipeline/propose_parts.h"

static double reduction_of(const lrp_proposer *p, const int *rank) {
  return lrp_plan_size(&p->config, p->job.decompose.method, rank, 1, 1).reduction_percent;
}

static size_t bytes_of_ranks(const lrp_proposer *p) {
  return (size_t)p->plan.layers * (size_t)p->plan.tensors * sizeof(int);
}

/* ---- proposals ---- */

/* The proposal of these ranks, which it takes over: a new one, or the one that has them already. */
static int add_proposal(lrp_proposer *p, int *rank, int question) {
  for (int i = 0; i < p->n_proposals; i++) {
    if (memcmp(p->proposals[i].rank, rank, bytes_of_ranks(p)) != 0) continue;
    free(rank);
    return i;
  }
  p->proposals[p->n_proposals] = (lrp_proposal){
      .question = question,
      .rank = rank,
      .saving = lrp_saving_of(&p->config, p->job.decompose.method, rank),
      .reduction_percent = reduction_of(p, rank),
  };
  return p->n_proposals++;
}

static void add_member(lrp_question *q, int proposal) {
  for (int i = 0; i < q->n; i++) {
    if (q->member[i] == proposal) return;
  }
  q->member[q->n++] = proposal;
}

static lrp_status create_ranks(const lrp_proposer *p, int **rank) {
  *rank = calloc(1, bytes_of_ranks(p));
  return *rank ? LRP_OK : lrp_fail_memory(bytes_of_ranks(p), "a proposal");
}

/* The paper's list whose size is nearest to the target. */
static lrp_status add_paper(lrp_proposer *p) {
  double nearest = INFINITY;
  int list = 0, *rank;
  const lrp_status st = create_ranks(p, &rank);

  if (st != LRP_OK) return st;
  for (int l = 0; l < LRP_PAPER_LISTS; l++) {
    lrp_paper_list_ranks(l, &p->config, rank);
    const double distance = fabs(reduction_of(p, rank) - p->target);
    if (distance < nearest) list = l;
    nearest = fmin(nearest, distance);
  }
  lrp_paper_list_ranks(list, &p->config, rank);
  p->proposals[add_proposal(p, rank, 0)].list = lrp_paper_list_name(list);
  return LRP_OK;
}

/* The least predicted loss for the question, in every stride-th layer from first on. */
static lrp_status add_candidate(lrp_proposer *p, int question, int stride, int first, int64_t *most,
                                bool *found) {
  lrp_question *q = &p->questions[question];
  lrp_offers some = {0};
  int *rank = NULL;
  lrp_status st = lrp_offers_every(&p->offers, stride, first, &some);

  *found = false;
  if (st == LRP_OK) st = create_ranks(p, &rank);
  if (st == LRP_OK) st = lrp_offers_choose(&some, q->saving, rank, most, found);
  lrp_offers_free(&some);
  if (st != LRP_OK || !*found) {
    free(rank);
    return st;
  }
  const int before = p->n_proposals, i = add_proposal(p, rank, question);
  if (i == before) {
    p->proposals[i].stride = stride;
    p->proposals[i].first = first;
  }
  add_member(q, i);
  return LRP_OK;
}

/* Neighbours hurt each other more than their sum, so some candidates keep a distance. *most and
 * *found are those of all layers; where they do not reach the size, nothing does. */
static lrp_status add_candidates(lrp_proposer *p, int question, int64_t *most, bool *found) {
  const int strides = p->measured ? LRP_STRIDES : 1; /* nothing would tell them apart */
  lrp_status st = add_candidate(p, question, 1, 0, most, found);

  for (int stride = 2; st == LRP_OK && *found && stride <= strides; stride++) {
    for (int first = 0; st == LRP_OK && first < stride; first++) {
      int64_t at_most;
      bool reached;
      st = add_candidate(p, question, stride, first, &at_most, &reached);
    }
  }
  return st;
}

/* All that saves enough. The paper's list is the first proposal, but the last to be preferred. */
static void complete_members(lrp_proposer *p, lrp_question *q) {
  for (int i = 1; i <= p->n_proposals; i++) {
    const int at = i % p->n_proposals;
    if (p->proposals[at].saving >= q->saving) add_member(q, at);
  }
}

/* ---- names ---- */

/* What a configuration of these ranks is called in the job, or NULL. */
static const char *known_name(const lrp_proposer *p, const int *rank) {
  for (int c = 0; c < p->plan.n_configurations; c++) {
    const lrp_configuration *known = &p->plan.configurations[c];
    if (known->energy == 0.0 && memcmp(known->rank, rank, bytes_of_ranks(p)) == 0) {
      return known->name;
    }
  }
  return NULL;
}

static bool is_taken(const lrp_proposer *p, const char *name) {
  for (int c = 0; c < p->plan.n_configurations; c++) {
    if (strcmp(p->plan.configurations[c].name, name) == 0) return true;
  }
  for (int i = 0; i < p->n_proposals; i++) {
    if (strcmp(p->proposals[i].name, name) == 0) return true;
  }
  return false;
}

/* Its name if it gets one of its own. Only one that nothing competes with is chosen already. */
static void wanted_name(const lrp_proposer *p, const lrp_proposal *one, char *name, size_t size) {
  const lrp_question *q = &p->questions[one->question];

  if (one->list) {
    snprintf(name, size, LRP_PAPER_PREFIX "%s", one->list);
  } else if (q->n == 1) {
    snprintf(name, size, LRP_CHOSEN_PREFIX "%05.2f", q->percent);
  } else {
    snprintf(name, size, LRP_CANDIDATE_PREFIX "%05.2f-s%do%d", q->percent, one->stride, one->first);
  }
}

/* As the job calls it; else wanted, wanted-2, .., and then the job gets it. */
static lrp_status name_proposal(lrp_proposer *p, lrp_proposal *one) {
  const char *known = known_name(p, one->rank);
  char wanted[64], name[LRP_MAX_NAME + 1];

  wanted_name(p, one, wanted, sizeof wanted);
  snprintf(name, sizeof name, "%s", known ? known : wanted);
  for (int i = 2; !known && is_taken(p, name); i++) {
    snprintf(name, sizeof name, "%.80s-%d", wanted, i);
  }
  memcpy(one->name, name, sizeof name);
  return known ? LRP_OK : lrp_job_add_ranks(&p->job, &p->config, name, one->rank);
}

/* ---- questions ---- */

static lrp_question *ask(lrp_proposer *p, const char *kind, const char *list, double percent,
                         int64_t saving) {
  lrp_question *q = &p->questions[p->n_questions++];

  *q = (lrp_question){.kind = kind, .list = list, .percent = percent, .saving = saving};
  return q;
}

static lrp_status fail_unreachable(const lrp_proposer *p, int64_t most) {
  const double percent = 100.0 * (double)most / (double)lrp_config_parameters(&p->config);
  return lrp_fail(
      LRP_ERR_JOB,
      "--reduction %g%%: what %s has %s can save %.2f %% at most; ask for less, or add "
      "layers, tensors or lower ranks to the job, as sweep: [{name: layer, each: layer, "
      "ranks: 1}], and run it first",
      p->target, p->output, p->by_losses ? "measured of single layers" : "decomposed",
      floor(100.0 * percent) / 100.0);
}

/* Whether the list is as large as what is asked for: it saves that, and little more. */
static bool is_equal_size(const lrp_proposer *p, const lrp_proposal *paper, int64_t saving) {
  return paper->saving >= saving &&
         fabs(paper->reduction_percent - p->target) <= LRP_SAME_SIZE_PERCENT;
}

static lrp_status ask_at_papers_size(lrp_proposer *p) {
  const lrp_proposal *paper = &p->proposals[0];
  int64_t most;
  bool found;

  if (paper->saving <= 0 || is_equal_size(p, paper, p->questions[0].saving)) return LRP_OK;
  ask(p, "chosen at its size", paper->list, paper->reduction_percent, paper->saving);
  const lrp_status st = add_candidates(p, 1, &most, &found);
  if (st == LRP_OK && !found) p->n_questions--;
  return st;
}

lrp_status lrp_propose_candidates(lrp_proposer *p) {
  const double parameters = (double)lrp_config_parameters(&p->config);
  int64_t most = 0;
  bool found;
  lrp_status st = add_paper(p);

  if (st == LRP_OK) {
    ask(p, "chosen", NULL, p->target, (int64_t)ceil(p->target / 100.0 * parameters));
    st = add_candidates(p, 0, &most, &found);
    if (st == LRP_OK && !found) st = fail_unreachable(p, most);
  }
  if (st == LRP_OK) st = ask_at_papers_size(p);
  for (int q = 0; st == LRP_OK && p->measured && q < p->n_questions; q++) {
    complete_members(p, &p->questions[q]);
  }
  for (int i = 0; st == LRP_OK && i < p->n_proposals; i++) {
    st = name_proposal(p, &p->proposals[i]);
  }
  return st;
}
