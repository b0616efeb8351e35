/* What is proposed, as choice.json and choice.yaml: a part of pipeline/propose.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/base/file.h"
#include "io/base/json_memory.h"
#include "pipeline/choice.h"
#include "pipeline/propose_parts.h"

/* The prediction of a proposal; null where none can be made. */
static json_t *proposal_json(const lrp_proposer *p, const lrp_proposal *one) {
  double loss = 0.0, error = 0.0;
  const bool known = p->by_losses && lrp_offers_predict(&p->offers, one->rank, &loss, &error);

  return json_pack("{s:s, s:s, s:s?, s:f, s:o, s:o}", "configuration", one->name, "kind",
                   one->list ? "paper" : "candidate", "list", one->list, "reduction_percent",
                   one->reduction_percent, "predicted_loss", known ? json_real(loss) : json_null(),
                   "predicted_loss_stderr", known ? json_real(error) : json_null());
}

static json_t *question_json(const lrp_proposer *p, const lrp_question *q) {
  json_t *names = json_array();

  for (int i = 0; i < q->n; i++) {
    json_array_append_new(names, json_string(p->proposals[q->member[i]].name));
  }
  return json_pack("{s:s, s:s?, s:o}", "kind", q->kind, "list", q->list, "candidates", names);
}

static json_t *explanation(const lrp_proposer *p, const char *measure) {
  const char *loss = measure && strcmp(measure, "score") != 0 ? measure : "1 - score";
  const char *decided = "";

  if (p->measured) {
    decided =
        " Candidates are what this proposes for all layers, for every 2nd, every 3rd and every 4th "
        "layer, and the paper's list. All are evaluated; the one that lost least on documents of "
        "even index is chosen.";
  }
  if (!p->by_losses) {
    return json_sprintf(
        "the least sum of relative squared errors |W - W_r|^2 / |W|^2 of the matrices that are "
        "replaced, among those that the job decomposes, for want of losses of single layers or "
        "tensors. Errors are no losses: none is predicted.%s",
        decided);
  }
  return json_sprintf(
      "the least sum of losses and their standard errors, among what was measured of single layers "
      "and tensors. Loss: the increase of %s on documents of even index, at least 0. In a layer, "
      "either tensors that were measured together or single ones, whose losses are added, as are "
      "those of layers. The predicted loss is the sum without the standard errors.%s",
      loss, decided);
}

static json_t *choice_json(const lrp_proposer *p) {
  const json_t *sensitivity = json_object_get(p->tradeoff, "sensitivity");
  const char *measure = json_string_value(json_object_get(sensitivity, "measure"));
  json_t *rows = json_array(), *choices = json_array();

  for (int i = 0; i < p->n_proposals; i++) {
    json_array_append_new(rows, proposal_json(p, &p->proposals[i]));
  }
  for (int q = 0; q < p->n_questions; q++) {
    json_array_append_new(choices, question_json(p, &p->questions[q]));
  }
  return json_pack("{s:f, s:s, s:o, s:s?, s:o, s:o}", "target_percent", p->target, "method",
                   p->by_losses ? "sensitivity" : "error", "explanation", explanation(p, measure),
                   "measure", measure, "choices", choices, "rows", rows);
}

static lrp_status write_text(const char *output, const char *name, const char *text) {
  char *path = lrp_path_join(output, name);
  const lrp_status st = path ? lrp_file_write(path, text, strlen(text)) : LRP_ERR_MEM;
  free(path);
  return st;
}

/* A job that has all of it already would be found complete: a report without this choice must not.
 */
static lrp_status outdate_report(const lrp_proposer *p) {
  char *path = lrp_path_join(p->output, "report.html");
  bool reported = false;
  lrp_status st = path ? lrp_choice_is_reported(p->output, p->tradeoff, &reported) : LRP_ERR_MEM;

  if (st == LRP_OK && !reported && unlink(path) != 0 && errno != ENOENT) {
    st = lrp_fail_errno(path, "remove", LRP_OK, LRP_ERR_IO);
  }
  free(path);
  return st;
}

/* An output that was moved is still the one to write to. */
static lrp_status keep_output(lrp_proposer *p) {
  char *here = realpath(p->output, NULL), *there = realpath(p->job.output, NULL);
  char *output = NULL;

  if (!here || !there || strcmp(here, there) != 0) {
    output = strdup(p->output);
    if (output) {
      free(p->job.output);
      p->job.output = output;
    }
  } else {
    output = p->job.output;
  }
  free(here);
  free(there);
  return output ? LRP_OK : lrp_fail_memory(strlen(p->output) + 1, "the output's path");
}

lrp_status lrp_propose_write(lrp_proposer *p) {
  char *yaml = NULL, *json = NULL;
  lrp_status st = keep_output(p);

  if (st == LRP_OK) st = lrp_job_write(&p->job, &yaml);
  json_t *choice = st == LRP_OK ? choice_json(p) : NULL;
  if (st == LRP_OK) {
    json = choice ? json_dumps(choice, JSON_INDENT(2) | JSON_REAL_PRECISION(17)) : NULL;
    st = lrp_json_checked(json ? LRP_OK : lrp_fail_memory(0, "choice.json"));
  }
  if (st == LRP_OK) st = write_text(p->output, "choice.yaml", yaml);
  if (st == LRP_OK) st = write_text(p->output, "choice.json", json);
  if (st == LRP_OK) st = outdate_report(p);
  json_decref(choice);
  free(json);
  free(yaml);
  return st;
}
