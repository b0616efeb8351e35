/* The evaluation of a model on one node, or spread over several: process ranks are made nodes of
 * their own. Scores, answers, and what is counted of the work are the same. */
#include "pipeline/evaluate_stage.h"

#include <jansson.h>

#include "kernels/log.h"
#include "pipeline/decompose_stage.h"
#include "pipeline/savings.h"
#include "pipeline/sweep.h"
#include "tests/io/base/temp_dir.h"
#include "tests/mpi_test.h"

enum { n_rows = 9, n_configurations = 5, n_pairs = 2 * n_configurations };

static lrp_topology real;
static lrp_options options = {.operand = NULL};
static lrp_study study;
static lrp_store store;
static json_t *provenance;

/* What an evaluation came to. */
typedef struct {
  double *ll[n_pairs];                   /* owned; of piqa */
  char *texts[n_configurations][n_rows]; /* owned; of gsm8k */
  lrp_savings savings;
  int64_t done; /* blocks by progress.json, process rank 0; and all of them */
  int64_t n_blocks;
} outcome;

static outcome reference; /* of one node */

static void write_rows(const char *name, bool piqa) {
  char rows[8192];
  int used = 0;
  for (int i = 0; i < n_rows; i++) {
    const char *format =
        piqa ? "{\"goal\": \"To add %d and %d\", \"sol1\": \"say %d\", \"sol2\": \"do not\", "
               "\"label\": 1}\n"
             : "{\"question\": \"What is %d and %d?\", \"answer\": \"#### %d\"}\n";
    used += snprintf(rows + used, sizeof rows - (size_t)used, format, i, 7 * i, 8 * i);
  }
  temp_text(name, rows);
}

static void write_inputs(void) {
  char command[2048], job[4096];
  static const char *const directories[] = {"out", "gsm8k", "gsm8k/main", "piqa"};
  snprintf(command, sizeof command,
           "'%s' %s/model --layers 5 --hidden 96 --intermediate 200 --heads 6 --kv-heads 2 "
           "--vocab 400 --max-position 600",
           SYNTH_MODEL, temp_dir);
  assert_int_equal(system(command), 0);
  snprintf(job, sizeof job,
           "model: %s/model\noutput: %s/out\nconfigurations:\n  - {name: dense}\n"
           "  - {name: last, layers: [4], tensors: all, rank: 1}\n"
           "  - {name: two, layers: [1, 4], tensors: [q_proj, up_proj], rank: 2}\n"
           "  - {name: first, layers: [0], tensors: all, rank: 3}\n"
           "  - {name: again, layers: [4], tensors: all, rank: 1}\n"
           "evaluate: {data: %s, tasks: [piqa, gsm8k], num_fewshot: 0}\n",
           temp_dir, temp_dir, temp_dir);
  temp_text("job.yaml", job);
  for (size_t i = 0; i < sizeof directories / sizeof *directories; i++) {
    assert_int_equal(mkdir(temp_path(directories[i]), 0700), 0);
  }
  write_rows("piqa/validation.jsonl", true);
  write_rows("gsm8k/main/test.jsonl", false);
  write_rows("gsm8k/main/train.jsonl", false);
}

/* ---- evaluations ----------------------------------------------------------------------------- */

static lrp_status control_open(const lrp_topology *topo, lrp_control *control) {
  *control = (lrp_control){0};
  lrp_status st = lrp_watch_start(topo, 60, &control->watch);
  if (st == LRP_OK) st = lrp_progress_open(study.job.output, topo, &control->progress);
  if (st == LRP_OK) {
    st = lrp_stop_create(study.job.output, 0.0, MPI_Wtime(), topo, &control->stop);
  }
  return st;
}

static void control_close(lrp_control *control) {
  lrp_progress_close(&control->progress, LRP_OK, NULL);
  lrp_stop_destroy(&control->stop);
  lrp_watch_stop(&control->watch);
}

static lrp_status read_book(lrp_scorebook *book, outcome *out) {
  lrp_status st = lrp_savings_of(book, &out->savings);
  for (int p = 0; st == LRP_OK && p < book->n_pairs; p++) {
    const lrp_pair *pair = &book->pairs[p];
    uint8_t *greedy = NULL;
    if (study.tasks[pair->task].kind->output == LRP_GENERATE) {
      st = lrp_scorebook_read_texts(book, p, out->texts[pair->configuration]);
    } else {
      st = lrp_scorebook_read(book, p, &out->ll[p], &greedy);
    }
    free(greedy);
  }
  out->n_blocks = book->n_blocks;
  return st;
}

static int64_t read_done(void) {
  char path[4200];
  snprintf(path, sizeof path, "%s/progress.json", study.job.output);
  json_t *o = json_load_file(path, 0, NULL);
  const int64_t done = json_integer_value(json_object_get(o, "done"));
  json_decref(o);
  return done;
}

/* Evaluate with so much memory on each node. Collective. */
static bool evaluate(const char *name, const lrp_topology *topo, int64_t memory, outcome *out) {
  lrp_scorebook book;
  lrp_control control;
  char *output = study.job.output;
  *out = (outcome){0};
  study.job.output = (char *)(uintptr_t)temp_path(name);
  if (real.me == 0) mkdir(study.job.output, 0700);
  MPI_Barrier(MPI_COMM_WORLD);
  study.job.evaluate.memory = memory;
  lrp_status st = control_open(topo, &control);
  if (st == LRP_OK) st = lrp_scorebook_open(&study, topo, provenance, 1, &book);
  if (st == LRP_OK) {
    st = lrp_evaluate_stage(&book, &store, topo, &control);
    if (st == LRP_OK) st = read_book(&book, out);
    const lrp_status closed = lrp_scorebook_close(&book);
    st = st > closed ? st : closed;
  }
  control_close(&control);
  if (st != LRP_OK) lrp_report_failure(lrp_agree(st, MPI_COMM_WORLD), MPI_COMM_WORLD);
  MPI_Barrier(MPI_COMM_WORLD);
  out->done = read_done();
  study.job.output = output;
  return st == LRP_OK;
}

static void outcome_free(outcome *o) {
  for (int p = 0; p < n_pairs; p++) free(o->ll[p]);
  for (int c = 0; c < n_configurations; c++) {
    for (int i = 0; i < n_rows; i++) free(o->texts[c][i]);
  }
  *o = (outcome){0};
}

static bool same_results(const outcome *a, const outcome *b) {
  bool ok = true;
  for (int p = 0; p < n_pairs; p++) {
    if (!a->ll[p]) continue;
    ok = ok && b->ll[p] && memcmp(a->ll[p], b->ll[p], 2 * n_rows * sizeof(double)) == 0;
  }
  for (int c = 0; c < n_configurations; c++) {
    for (int i = 0; i < n_rows; i++) {
      ok = ok && a->texts[c][i] && b->texts[c][i] && strcmp(a->texts[c][i], b->texts[c][i]) == 0;
    }
  }
  return ok;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void test_one_node(void **state) {
  (void)state;
  assert_all_ranks(evaluate("alone", &real, 0, &reference));
  assert_all_ranks(reference.done == reference.n_blocks);
  assert_all_ranks(same_results(&reference, &reference));
  /* Many process ranks part the configurations among them, which then share nothing. */
  assert_all_ranks(reference.savings.computed <= reference.savings.distinct);
  assert_all_ranks(real.size > 2 || reference.savings.computed < reference.savings.distinct);
}

/* Products of a single process rank, or column, that takes everything: it parts nothing. */
static int64_t products_of_one_walk(const outcome *of) {
  lrp_sweep sweep;
  if (lrp_sweep_create(&study.plan, &sweep) != LRP_OK) return -1;
  const int n = sweep.n_configurations;
  const int64_t tokens = of->savings.distinct / ((int64_t)n * sweep.layers);
  const int64_t layers = lrp_sweep_cost(&sweep, sweep.order, n, 0, sweep.layers, n);
  lrp_sweep_free(&sweep);
  return tokens * layers;
}

/* All nodes together hold the layers: a single column, whose last process rank writes the scores
 * and whose first one, of the node that progress.json is written on, counts them. */
static void test_layers_on_several_nodes(void **state) {
  const double model = 4.0 * (double)lrp_config_linear_parameters(&study.model.config);
  int ranks[8] = {1, 1, 1, 1, 1, 1, 1, 1};
  lrp_topology topo = real;
  outcome spread;
  (void)state;
  topo.node_index = real.me;
  topo.node_ranks = ranks;
  topo.n_nodes = real.size;
  topo.node = MPI_COMM_SELF;
  assert_all_ranks(evaluate("spread", &topo, (int64_t)(0.32 * model), &spread));
  assert_all_ranks(same_results(&reference, &spread));
  assert_all_ranks(spread.savings.alone == reference.savings.alone);
  assert_all_ranks(spread.savings.distinct == reference.savings.distinct);
  assert_all_ranks(spread.savings.computed == products_of_one_walk(&reference));
  assert_all_ranks(spread.done == spread.n_blocks);
  outcome_free(&spread);
}

static lrp_status make_factors(void) {
  lrp_control control;
  lrp_identity identity = {0};
  lrp_status st = control_open(&real, &control);
  if (st == LRP_OK) st = lrp_identity_open(&study, &real, &control, &identity);
  if (st == LRP_OK) st = lrp_store_open(&study, &real, provenance, 1, &store);
  if (st == LRP_OK) st = lrp_decompose_stage(&store, &identity, &real, &control);
  lrp_identity_close(&identity);
  control_close(&control);
  return st;
}

static int setup(void **state) {
  (void)state;
  if (real.me == 0 && temp_setup(NULL) != 0) return -1;
  MPI_Bcast(temp_dir, sizeof temp_dir, MPI_CHAR, 0, MPI_COMM_WORLD);
  if (real.me == 0) write_inputs();
  MPI_Barrier(MPI_COMM_WORLD);
  provenance = json_object();
  options.operand = temp_path("job.yaml");
  lrp_status st = lrp_study_open(&options, &real, &study);
  if (st == LRP_OK) st = make_factors();
  if (st != LRP_OK) lrp_report_failure(st, MPI_COMM_WORLD);
  return st == LRP_OK ? 0 : -1;
}

static int teardown(void **state) {
  (void)state;
  outcome_free(&reference);
  lrp_store_close(&store);
  lrp_study_close(&study);
  json_decref(provenance);
  MPI_Barrier(MPI_COMM_WORLD);
  if (real.me == 0) temp_remove(temp_dir);
  return 0;
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_one_node),
      cmocka_unit_test(test_layers_on_several_nodes),
  };
  MPI_Init(&argc, &argv);
  int failed = lrp_topology_init(&real, MPI_COMM_WORLD) != LRP_OK;
  lrp_log_init(real.me, true);
  if (!failed) failed = cmocka_run_group_tests(tests, setup, teardown);
  lrp_topology_free(&real);
  MPI_Finalize();
  return failed;
}
