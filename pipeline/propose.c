#include "pipeline/propose.h"

#include <stdlib.h>
#include <string.h>

#include "io/base/file.h"
#include "io/base/json_memory.h"
#include "pipeline/propose_parts.h"

enum { json_bytes_max = 1 << 30, job_bytes_max = 1 << 24 };

/* ---- what there is ---- */

/* <output>/name as text; *text is NULL if there is no such file. */
static lrp_status read_text(const char *output, const char *name, size_t max, char **text) {
  char *path = lrp_path_join(output, name);
  size_t size;
  lrp_status st = path ? LRP_OK : LRP_ERR_MEM;

  *text = NULL;
  if (st == LRP_OK && lrp_file_exists(path)) st = lrp_file_read(path, max, text, &size);
  free(path);
  return st;
}

/* The same as JSON; NULL also for what is none. */
static lrp_status read_json(const char *output, const char *name, json_t **value) {
  char *text = NULL;
  const lrp_status st = read_text(output, name, json_bytes_max, &text);

  *value = text ? json_loads(text, 0, NULL) : NULL;
  free(text);
  return lrp_json_checked(st);
}

static bool is_of_job(const lrp_proposer *p) {
  const json_t *provenance = json_object_get(p->tradeoff, "provenance");
  const char *job = json_string_value(json_object_get(provenance, "job"));
  return job && strcmp(job, p->job_text) == 0;
}

/* Whether the job is the very one that an earlier call for this target made: its run was stopped
 * between the evaluation and the end of the report. */
static lrp_status is_under_way(const lrp_proposer *p, bool *under_way) {
  json_t *choice = NULL;
  char *yaml = NULL;
  lrp_status st = read_json(p->output, "choice.json", &choice);

  if (st == LRP_OK) st = read_text(p->output, "choice.yaml", job_bytes_max, &yaml);
  *under_way = yaml && strcmp(yaml, p->job_text) == 0 &&
               json_number_value(json_object_get(choice, "target_percent")) == p->target;
  free(yaml);
  json_decref(choice);
  return st;
}

static lrp_status read_results(lrp_proposer *p, bool *under_way) {
  lrp_status st = read_text(p->output, "job.yaml", job_bytes_max, &p->job_text);

  *under_way = false;
  if (st == LRP_OK) st = read_json(p->output, "tradeoff.json", &p->tradeoff);
  if (st != LRP_OK) return st;
  if (!p->job_text) {
    return lrp_fail(LRP_ERR_ABSENT, "%s: holds no finished run (no job.yaml); run the job first",
                    p->output);
  }
  if (p->tradeoff && is_of_job(p)) return LRP_OK;
  st = is_under_way(p, under_way);
  if (st != LRP_OK || *under_way) return st;
  if (!p->tradeoff) {
    return lrp_fail(LRP_ERR_ABSENT,
                    "%s: the run is not complete (no tradeoff.json); run the job first: lrpipe "
                    "%s/job.yaml",
                    p->output, p->output);
  }
  return lrp_fail(LRP_ERR_DATA,
                  "%s: tradeoff.json is not that of job.yaml; run the job again: lrpipe "
                  "%s/job.yaml",
                  p->output, p->output);
}

static lrp_status read_job(lrp_proposer *p) {
  char *path = lrp_path_join(p->output, "job.yaml");
  lrp_status st = path ? LRP_OK : LRP_ERR_MEM;

  if (st == LRP_OK) st = lrp_job_parse(path, p->job_text, strlen(p->job_text), NULL, &p->job);
  if (st == LRP_OK) st = lrp_config_read(p->job.model, &p->config);
  if (st == LRP_OK) st = lrp_plan_create(&p->job, &p->config, &p->plan);
  free(path);
  return st;
}

static lrp_status list_offers(lrp_proposer *p) {
  const json_t *sensitivity = json_object_get(p->tradeoff, "sensitivity");
  const lrp_method method = p->job.decompose.method;
  lrp_status st = lrp_offers_of_losses(sensitivity, &p->config, method, &p->offers);

  p->by_losses = p->offers.n > 0;
  p->measured = json_is_object(sensitivity);
  if (st != LRP_OK || p->by_losses) return st;
  lrp_offers_free(&p->offers);
  return lrp_offers_of_errors(json_object_get(p->tradeoff, "tensors"), &p->plan, &p->config, method,
                              &p->offers);
}

lrp_status lrp_propose(const char *output, double target_percent) {
  lrp_proposer p = {.output = output, .target = target_percent};
  bool under_way = false;
  lrp_status st = read_results(&p, &under_way);

  if (st == LRP_OK && !under_way) {
    st = read_job(&p);
    if (st == LRP_OK) st = list_offers(&p);
    if (st == LRP_OK) st = lrp_propose_candidates(&p);
    if (st == LRP_OK) st = lrp_propose_write(&p);
  }
  for (int i = 0; i < p.n_proposals; i++) free(p.proposals[i].rank);
  lrp_offers_free(&p.offers);
  lrp_plan_free(&p.plan);
  lrp_job_free(&p.job);
  json_decref(p.tradeoff);
  free(p.job_text);
  return st;
}
