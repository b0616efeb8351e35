/* Answers of a model whose layers are on one node, or spread over several: process ranks are made
 * nodes of their own. */
#include "pipeline/decoding.h"

#include "kernels/log.h"
#include "tests/io/base/temp_dir.h"
#include "tests/mpi_test.h"

enum { layers = 5, n_questions = 11, n_shots = 1 };

static lrp_topology real;
static lrp_options options = {.operand = NULL};
static lrp_study study;
static lrp_store store;
static json_t *provenance;
static char *reference[n_questions]; /* answers of one node */

static void write_rows(const char *name, const char *word, int n) {
  char rows[4096];
  int used = 0;
  for (int i = 0; i < n; i++) {
    used += snprintf(rows + used, sizeof rows - (size_t)used,
                     "{\"question\": \"%s %d and %d?\", \"answer\": \"#### %d\"}\n", word, i, 7 * i,
                     8 * i);
  }
  temp_text(name, rows);
}

static void write_inputs(void) {
  char command[2048], job[4096];
  snprintf(command, sizeof command,
           "'%s' %s/model --layers %d --hidden 96 --intermediate 200 --heads 6 --kv-heads 2 "
           "--vocab 400 --max-position 600",
           SYNTH_MODEL, temp_dir, layers);
  assert_int_equal(system(command), 0);
  snprintf(job, sizeof job,
           "model: %s/model\noutput: %s/out\nconfigurations:\n  - {name: dense}\n"
           "evaluate: {data: %s, tasks: [gsm8k], num_fewshot: %d}\n",
           temp_dir, temp_dir, temp_dir, n_shots);
  temp_text("job.yaml", job);
  assert_int_equal(mkdir(temp_path("out"), 0700), 0);
  assert_int_equal(mkdir(temp_path("gsm8k"), 0700), 0);
  assert_int_equal(mkdir(temp_path("gsm8k/main"), 0700), 0);
  write_rows("gsm8k/main/test.jsonl", "What is", n_questions);
  write_rows("gsm8k/main/train.jsonl", "What was", 3);
}

/* ---- an evaluation without its stage --------------------------------------------------------- */

/* All blocks on the process ranks that compute together. */
static lrp_status compute(lrp_scorebook *book, lrp_weights *weights) {
  lrp_column *column = lrp_weights_column(weights);
  const bool takes = lrp_weights_takes(weights);
  lrp_decoding *decoding = NULL;
  int64_t b = 0;
  lrp_status st = lrp_decoding_create(book, &store, weights, &decoding);
  for (; st == LRP_OK && takes && b < book->n_blocks; b++) {
    if (column && !lrp_spread_begin(column, b)) break;
    st = lrp_decoding_block(decoding, b);
    if (column) lrp_spread_end(column, st);
  }
  while (st == LRP_OK && column && !takes && lrp_spread_take(column, &b)) {
    st = lrp_decoding_block(decoding, b);
    lrp_spread_end(column, st);
  }
  if (column) st = lrp_spread_finish(column, st);
  lrp_decoding_destroy(&decoding);
  return st;
}

/* Answers with so much memory on each node; *spread: over several of them. Where each node has the
 * model, the first process rank computes. */
static bool answers(const char *name, const lrp_topology *topo, int64_t memory, char **texts,
                    bool *spread) {
  lrp_scorebook book;
  lrp_weights *weights = NULL;
  char *output = study.job.output;
  bool ok;
  study.job.output = (char *)(uintptr_t)temp_path(name);
  if (real.me == 0) mkdir(study.job.output, 0700);
  MPI_Barrier(MPI_COMM_WORLD);
  study.job.evaluate.memory = memory;
  lrp_status st = lrp_scorebook_open(&study, &real, provenance, 1, &book);
  ok = st == LRP_OK && book.n_blocks == 2;
  if (st == LRP_OK) st = lrp_weights_open(&study, topo, &weights);
  if (st == LRP_OK) {
    *spread = lrp_weights_column(weights);
    if (*spread || real.me == 0) st = compute(&book, weights);
    ok = ok && st == LRP_OK && lrp_scorebook_refresh(&book) == LRP_OK;
    ok = ok && lrp_scorebook_read_texts(&book, 0, texts) == LRP_OK;
    lrp_weights_close(&weights);
  }
  ok = lrp_scorebook_close(&book) == LRP_OK && ok;
  study.job.output = output;
  return ok;
}

static bool same(char **texts) {
  bool ok = true;
  for (int i = 0; i < n_questions; i++) {
    ok = ok && texts[i] && reference[i] && strcmp(texts[i], reference[i]) == 0;
    free(texts[i]);
    texts[i] = NULL;
  }
  return ok;
}

/* Each process rank is a node. With little memory, fewer and fewer of them hold the model. */
static void test_layers_on_several_nodes(void **state) {
  static const double parts[] = {0.8, 0.62, 0.45, 0.32};
  const double model = 4.0 * (double)lrp_config_linear_parameters(&study.model.config);
  int ranks[8] = {1, 1, 1, 1, 1, 1, 1, 1}, n_spread = 0;
  lrp_topology topo = real;
  (void)state;
  topo.node_index = real.me;
  topo.node_ranks = ranks;
  topo.n_nodes = real.size;
  topo.node = MPI_COMM_SELF;
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    char name[16], *texts[n_questions] = {0};
    bool spread = false;
    snprintf(name, sizeof name, "out%zu", i);
    assert_all_ranks(answers(name, &topo, (int64_t)(parts[i] * model), texts, &spread));
    assert_all_ranks(same(texts));
    n_spread += spread;
  }
  assert_all_ranks(real.size == 1 || n_spread > 0);
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
  if (st == LRP_OK) st = lrp_store_open(&study, &real, provenance, 1, &store);
  if (st != LRP_OK) lrp_report_failure(st, MPI_COMM_WORLD);
  bool spread = false;
  return st == LRP_OK && answers("alone", &real, 0, reference, &spread) && !spread ? 0 : -1;
}

static int teardown(void **state) {
  (void)state;
  lrp_store_close(&store);
  lrp_study_close(&study);
  json_decref(provenance);
  for (int i = 0; i < n_questions; i++) free(reference[i]);
  MPI_Barrier(MPI_COMM_WORLD);
  if (real.me == 0) temp_remove(temp_dir);
  return 0;
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
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
