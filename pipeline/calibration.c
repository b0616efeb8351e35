#include "pipeline/calibration.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "io/base/file.h"
#include "io/base/json_memory.h"
#include "kernels/log.h"
#include "kernels/threads.h"

/* Changes when the work of a stage is counted in another way. */
enum { format = 1, bytes_max = 1 << 22 };

/* ---- The machine ---- */

/* "model name : ..." of /proc/cpuinfo; the host where the processor has no name. */
static void name_processor(char *name, size_t size) {
  FILE *f = fopen("/proc/cpuinfo", "re");
  char line[256];

  gethostname(name, size - 1);
  while (f && fgets(line, sizeof line, f)) {
    const char *colon = strchr(line, ':');
    if (strncmp(line, "model name", strlen("model name")) != 0 || !colon) continue;
    line[strcspn(line, "\n")] = '\0';
    snprintf(name, size, "%s", colon + 1 + strspn(colon + 1, " "));
    break;
  }
  if (f) fclose(f);
}

lrp_machine lrp_machine_here(int threads, int ranks) {
  lrp_machine machine = {.threads = threads, .ranks = ranks};
  name_processor(machine.processor, sizeof machine.processor);
  snprintf(machine.blas, sizeof machine.blas, "%s", lrp_blas_kernel());
  return machine;
}

lrp_machine lrp_machine_of(const lrp_topology *topo) {
  int most = 1;
  for (int n = 0; n < topo->n_nodes; n++) {
    if (topo->node_ranks[n] > most) most = topo->node_ranks[n];
  }
  return lrp_machine_here(topo->threads, most);
}

static bool same_processor(const lrp_machine *a, const lrp_machine *b) {
  return strcmp(a->processor, b->processor) == 0 && strcmp(a->blas, b->blas) == 0;
}

static bool same_machine(const lrp_machine *a, const lrp_machine *b) {
  return same_processor(a, b) && a->threads == b->threads && a->ranks == b->ranks;
}

/* ---- The file ---- */

lrp_status lrp_calibration_path(char **path) {
  const char *file = getenv("LRPIPE_CALIBRATION"), *cache = getenv("XDG_CACHE_HOME");
  const char *home = getenv("HOME");
  int n;

  *path = NULL;
  if (file && *file) {
    n = asprintf(path, "%s", file);
  } else if (cache && *cache == '/') {
    n = asprintf(path, "%s/lrpipe/calibration.json", cache);
  } else if (home && *home) {
    n = asprintf(path, "%s/.cache/lrpipe/calibration.json", home);
  } else {
    return lrp_fail(LRP_ERR_USAGE,
                    "no place for the calibration: HOME is not set; set LRPIPE_CALIBRATION to a "
                    "file");
  }
  if (n >= 0) return LRP_OK;
  *path = NULL;
  return lrp_fail_memory(256, "a path");
}

/* The document, NULL if there is none or it is damaged, which is warned about. */
static lrp_status read_document(const char *path, json_t **document) {
  char *text = NULL;
  size_t size = 0;

  *document = NULL;
  if (!lrp_file_exists(path)) return LRP_OK;
  lrp_status st = lrp_file_read(path, bytes_max, &text, &size);
  if (st == LRP_ERR_MEM) return st;
  if (st == LRP_OK) *document = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
  free(text);
  if (st == LRP_OK) st = lrp_json_checked(st);
  if (st == LRP_ERR_MEM) return st;
  if (st != LRP_OK) lrp_failure_clear();
  if (json_integer_value(json_object_get(*document, "format")) == format &&
      json_is_array(json_object_get(*document, "entries"))) {
    return LRP_OK;
  }
  json_decref(*document);
  *document = NULL;
  lrp_warn(
      "%s: not a calibration of this version of lrpipe, ignored; lrpipe doctor --calibrate "
      "writes a new one",
      path);
  return LRP_OK;
}

static bool read_speeds(const json_t *speeds, lrp_cost *cost) {
  for (int s = 0; s < LRP_COST_N_STAGES; s++) {
    const json_t *pair = json_object_get(speeds, lrp_cost_name((lrp_cost_stage)s));
    for (size_t i = 0; i < 2; i++) {
      const double speed = json_number_value(json_array_get(pair, i));
      if (!(speed > 0.0) || !isfinite(speed)) return false;
      cost->speed[s][i] = speed;
    }
  }
  return true;
}

/* False if the entry is none. */
static bool read_entry(const json_t *entry, lrp_machine *machine, lrp_cost *cost) {
  const char *processor = json_string_value(json_object_get(entry, "processor"));
  const char *blas = json_string_value(json_object_get(entry, "blas_kernel"));
  const json_int_t threads = json_integer_value(json_object_get(entry, "threads"));
  const json_int_t ranks = json_integer_value(json_object_get(entry, "process_ranks"));
  const json_int_t most = 1 << 20;

  if (!processor || !blas || threads < 1 || threads > most || ranks < 1 || ranks > most) {
    return false;
  }
  *machine = (lrp_machine){.threads = (int)threads, .ranks = (int)ranks};
  snprintf(machine->processor, sizeof machine->processor, "%s", processor);
  snprintf(machine->blas, sizeof machine->blas, "%s", blas);
  return read_speeds(json_object_get(entry, "speeds"), cost);
}

/* ---- Loading ---- */

/* How far b is from a: another processor counts more than any number of threads. */
static double distance(const lrp_machine *a, const lrp_machine *b) {
  const double other = 1e3;
  return fabs(log2((double)a->threads / b->threads)) + fabs(log2((double)a->ranks / b->ranks)) +
         (same_processor(a, b) ? 0.0 : other);
}

/* Threads compute together, the process ranks of a node share its disk. */
static void scale(lrp_cost *cost, const lrp_machine *from, const lrp_machine *to) {
  for (int s = 0; s < LRP_COST_N_STAGES; s++) {
    const double factor = lrp_cost_is_file((lrp_cost_stage)s) ? (double)from->ranks / to->ranks
                                                              : (double)to->threads / from->threads;
    cost->speed[s][0] *= factor;
    cost->speed[s][1] *= factor;
  }
}

static void choose(const json_t *document, lrp_calibration *out) {
  double nearest = INFINITY;
  size_t i;
  const json_t *entry;

  json_array_foreach(json_object_get(document, "entries"), i, entry) {
    lrp_machine machine;
    lrp_cost cost;
    if (!read_entry(entry, &machine, &cost)) continue;
    const double d = distance(&out->wanted, &machine);
    if (d >= nearest) continue;
    nearest = d;
    out->cost = cost;
    out->source = machine;
    out->measured = true;
  }
  if (out->measured) scale(&out->cost, &out->source, &out->wanted);
}

lrp_status lrp_calibration_load(const lrp_machine *machine, lrp_calibration *out) {
  json_t *document = NULL;
  char *path;

  *out = (lrp_calibration){.cost = lrp_cost_guess(machine->threads), .wanted = *machine};
  lrp_status st = lrp_calibration_path(&path);
  if (st == LRP_ERR_USAGE) {
    lrp_failure_clear();
    return LRP_OK;
  }
  if (st == LRP_OK) st = read_document(path, &document);
  if (st == LRP_OK) choose(document, out);
  json_decref(document);
  free(path);
  return st;
}

lrp_status lrp_calibration_share(const lrp_topology *topo, lrp_calibration *out) {
  const lrp_machine machine = lrp_machine_of(topo);
  lrp_status st = topo->me == 0 ? lrp_calibration_load(&machine, out) : LRP_OK;

  st = lrp_agree(st, topo->comm);
  if (st == LRP_OK) MPI_Bcast(out, sizeof *out, MPI_BYTE, 0, topo->comm);
  return st;
}

static const char *plural(int n) {
  return n == 1 ? "" : "s";
}

const char *lrp_calibration_text(const lrp_calibration *c, char text[LRP_CALIBRATION_TEXT]) {
  const lrp_machine *from = &c->source, *to = &c->wanted;
  char scaled[96] = "";

  if (!c->measured) {
    snprintf(text, LRP_CALIBRATION_TEXT,
             "guessed, right within some factor: lrpipe doctor --calibrate, started as the run is, "
             "measures them");
    return text;
  }
  if (from->ranks != to->ranks || from->threads != to->threads) {
    snprintf(scaled, sizeof scaled, ", scaled to %d of %d", to->ranks, to->threads);
  }
  snprintf(text, LRP_CALIBRATION_TEXT,
           "measured on %s%s (%s), %d process rank%s of %d thread%s per node%s",
           same_processor(from, to) ? "" : "another processor, ", from->processor, from->blas,
           from->ranks, plural(from->ranks), from->threads, plural(from->threads), scaled);
  return text;
}

/* ---- Saving ---- */

static json_t *speeds_of(const lrp_cost *cost) {
  json_t *speeds = json_object();
  for (int s = 0; s < LRP_COST_N_STAGES; s++) {
    json_object_set_new(speeds, lrp_cost_name((lrp_cost_stage)s),
                        json_pack("[f, f]", cost->speed[s][0], cost->speed[s][1]));
  }
  return speeds;
}

static json_t *entry_of(const lrp_machine *machine, const lrp_cost *cost) {
  const time_t now = time(NULL);
  char when[32] = "";
  struct tm tm;

  if (gmtime_r(&now, &tm)) strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
  return json_pack("{s:s, s:s, s:i, s:i, s:s, s:o}", "processor", machine->processor, "blas_kernel",
                   machine->blas, "threads", machine->threads, "process_ranks", machine->ranks,
                   "measured", when, "speeds", speeds_of(cost));
}

/* Without the old entry of machine, and without what is none. */
static void remove_entry(json_t *entries, const lrp_machine *machine) {
  for (size_t i = json_array_size(entries); i-- > 0;) {
    lrp_machine other;
    lrp_cost cost;
    if (!read_entry(json_array_get(entries, i), &other, &cost) || same_machine(&other, machine)) {
      json_array_remove(entries, i);
    }
  }
}

/* The directory of path is there, and files can be made in it. */
static lrp_status make_parent(const char *path) {
  const char *slash = strrchr(path, '/');
  const size_t length = slash ? (size_t)(slash - path) : 0;
  char *dir = !slash ? strdup(".") : length > 0 ? strndup(path, length) : strdup("/");
  if (!dir) return lrp_fail_memory(length, "a path");
  lrp_status st = lrp_make_directory(dir);
  if (st == LRP_OK && access(dir, W_OK | X_OK) != 0) {
    st = lrp_fail_errno(dir, "create a file in", LRP_ERR_CREATE, LRP_ERR_CREATE);
  }
  free(dir);
  return st;
}

lrp_status lrp_calibration_prepare(void) {
  char *path;
  lrp_status st = lrp_calibration_path(&path);
  if (st == LRP_OK) st = make_parent(path);
  free(path);
  return st;
}

lrp_status lrp_calibration_save(const lrp_machine *machine, const lrp_cost *cost) {
  json_t *document = NULL;
  char *path = NULL, *text = NULL;
  lrp_status st = lrp_calibration_path(&path);

  if (st == LRP_OK) st = make_parent(path);
  if (st == LRP_OK) st = read_document(path, &document);
  if (st == LRP_OK) {
    if (!document) document = json_pack("{s:i, s:[]}", "format", format, "entries");
    json_t *entries = json_object_get(document, "entries");
    remove_entry(entries, machine);
    json_array_append_new(entries, entry_of(machine, cost));
    text = json_dumps(document, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
    st = lrp_json_checked(text ? LRP_OK : lrp_fail_memory(0, "the calibration"));
  }
  if (st == LRP_OK) st = lrp_file_write(path, text, strlen(text));
  free(text);
  json_decref(document);
  free(path);
  return st;
}
