#include "pipeline/progress_file.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/base/file.h"
#include "io/base/json_memory.h"
#include "pipeline/eta.h"

enum { bytes_max = 1 << 16 };

char *lrp_progress_path(const char *output) {
  return lrp_path_join(output, "progress.json");
}

static json_t *text_or_null(const char *text) {
  json_t *s = *text ? json_string(text) : NULL;
  return s ? s : json_null(); /* also for a name that is not UTF-8 */
}

static json_t *object_of(const lrp_progress_state *p) {
  char host[256] = "?";
  gethostname(host, sizeof host - 1);
  json_t *o = json_pack("{s:s, s:i, s:s, s:s, s:I, s:I, s:i, s:i, s:s, s:i, s:I, s:I}", "state",
                        p->state, "attempt", p->attempt, "stage", p->stage, "items", p->items,
                        "done", (json_int_t)p->done, "total", (json_int_t)p->total, "percent",
                        lrp_percent(p->done, p->total), "process_ranks", p->process_ranks, "host",
                        host, "pid", (int)getpid(), "started", (json_int_t)p->started, "updated",
                        (json_int_t)p->updated);
  if (!o) return NULL;
  const bool known = p->eta_s >= 0.0 && isfinite(p->eta_s);
  json_object_set_new(o, "eta_seconds",
                      known ? json_integer((json_int_t)ceil(fmin(p->eta_s, 1e15))) : json_null());
  json_object_set_new(o, "what", text_or_null(p->what));
  if (*p->stopped_by) json_object_set_new(o, "stopped_by", json_string(p->stopped_by));
  return o;
}

lrp_status lrp_progress_write(const char *path, const lrp_progress_state *state) {
  json_t *o = object_of(state);
  char *text = o ? json_dumps(o, JSON_INDENT(2)) : NULL;
  const lrp_status st =
      text ? lrp_file_write(path, text, strlen(text)) : lrp_fail_memory(bytes_max, "progress.json");
  free(text);
  json_decref(o);
  return lrp_json_checked(st);
}

static void copy_text(const json_t *o, const char *key, char *to, size_t size) {
  const char *text = json_string_value(json_object_get(o, key));
  snprintf(to, size, "%s", text ? text : "");
}

static void parse(const json_t *o, lrp_progress_state *p) {
  const json_t *eta = json_object_get(o, "eta_seconds");
  copy_text(o, "state", p->state, sizeof p->state);
  copy_text(o, "stage", p->stage, sizeof p->stage);
  copy_text(o, "items", p->items, sizeof p->items);
  copy_text(o, "stopped_by", p->stopped_by, sizeof p->stopped_by);
  copy_text(o, "what", p->what, sizeof p->what);
  const json_int_t attempt = json_integer_value(json_object_get(o, "attempt"));
  p->attempt = attempt > 0 && attempt < 1000000000 ? (int)attempt : 0;
  p->done = json_integer_value(json_object_get(o, "done"));
  p->total = json_integer_value(json_object_get(o, "total"));
  p->eta_s = json_is_number(eta) ? json_number_value(eta) : -1.0;
  p->process_ranks = (int)json_integer_value(json_object_get(o, "process_ranks"));
  p->started = json_integer_value(json_object_get(o, "started"));
  p->updated = json_integer_value(json_object_get(o, "updated"));
}

bool lrp_progress_read(const char *path, lrp_progress_state *state) {
  char *text = NULL;
  size_t size;
  *state = (lrp_progress_state){.eta_s = -1.0};
  if (!lrp_file_exists(path)) return false;
  if (lrp_file_read(path, bytes_max, &text, &size) != LRP_OK) {
    lrp_failure_clear(); /* nothing depends on it */
    return false;
  }
  json_t *o = json_loadb(text, size, 0, NULL);
  const bool found = json_is_object(o);
  if (found) parse(o, state);
  json_decref(o);
  free(text);
  return found;
}
