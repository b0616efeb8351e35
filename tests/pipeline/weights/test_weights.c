/* A model of real weight files; process ranks are on one node, or each on its own. */
#include "pipeline/weights.h"

#include <sys/resource.h>

#include "pipeline/weights_plan.h"
#include "tests/pipeline/weights/stored_study.h"

/* The head as a linear map. */
static lrp_linear head_of(const lrp_llama *model) {
  return (lrp_linear){.n_in = model->lm_head.cols,
                      .n_out = model->lm_head.rows,
                      .w = model->lm_head,
                      .packed = model->packed_head};
}

static bool packs(const lrp_matrix *w) {
  return lrp_packed_bytes(w->rows, w->cols, study.eval_dtype) > 0;
}

/* Layers [from, to) and the head have the bits of the model as it lies, and are packed if that was
 * expected; no other layers are. */
static bool right_model(const lrp_llama *model, int from, int to, bool packed) {
  bool ok = true;
  for (int l = 0; l < layers; l++) {
    for (int t = 0; t < LRP_LLAMA_LINEARS; t++) {
      const lrp_linear *linear = &model->layers[l].linear[t];
      const bool expected = packed && l >= from && l < to && packs(&linear->w);
      ok = ok && (linear->packed.data != NULL) == expected;
      ok = ok && same(linear, &plain.layers[l].linear[t]);
    }
  }
  const lrp_linear head = head_of(model), plain_head = head_of(&plain);
  const bool expected = packed && to == layers && packs(&head.w);
  return ok && (head.packed.data != NULL) == expected && same(&head, &plain_head);
}

/* ---- one node -------------------------------------------------------------------------------- */

static int64_t bytes_of(const lrp_matrix *a, bool packed) {
  const size_t bytes = packed ? lrp_packed_bytes(a->rows, a->cols, study.eval_dtype) : 0;
  return bytes > 0 ? (int64_t)bytes : a->rows * a->cols * 2;
}

/* Of the layers, with the embedding and the head. */
static void list_bytes(int64_t *packed, int64_t *mapped) {
  for (int l = 0; l < layers; l++) {
    packed[l] = l == 0 ? bytes_of(&plain.embed_tokens, false) : 0;
    mapped[l] = packed[l];
    if (l + 1 == layers) packed[l] += bytes_of(&plain.lm_head, true);
    if (l + 1 == layers) mapped[l] += bytes_of(&plain.lm_head, false);
    for (int t = 0; t < LRP_LLAMA_LINEARS; t++) {
      packed[l] += bytes_of(&plain.layers[l].linear[t].w, true);
      mapped[l] += bytes_of(&plain.layers[l].linear[t].w, false);
    }
  }
}

static int64_t packed_model(void) {
  int64_t packed[layers], mapped[layers], sum = 0;
  list_bytes(packed, mapped);
  for (int l = 0; l < layers; l++) sum += packed[l];
  return sum;
}

/* The last process rank may open no file until the limit is set back: not the shared memory. */
static void limit_last(struct rlimit *limit) {
  getrlimit(RLIMIT_NOFILE, limit);
  const struct rlimit low = {.rlim_cur = 0, .rlim_max = limit->rlim_max};
  if (real.me == real.size - 1) setrlimit(RLIMIT_NOFILE, &low);
}

static void check_one_node(int64_t memory, bool packed) {
  lrp_weights *w = NULL;
  int from, to, capacity;
  study.job.evaluate.memory = memory;
  assert_all_ranks(lrp_weights_open(&study, &real, &w) == LRP_OK);
  lrp_weights_range(w, &from, &to);
  lrp_weights_capacity(w, &capacity);
  assert_all_ranks(from == 0 && to == layers && lrp_weights_takes(w) && !lrp_weights_column(w));
  assert_all_ranks(capacity == real.size && lrp_weights_spare(w) > 0);
  assert_all_ranks(right_model(lrp_weights_dense(w), 0, layers, packed));
  lrp_weights_close(&w);
  lrp_weights_close(&w);
  assert_all_ranks(w == NULL);
}

static void test_one_node(void **state) {
  (void)state;
  for (int type = 0; type < 2; type++) {
    study.eval_dtype = type ? LRP_BF16 : LRP_F32;
    const int64_t bytes = packed_model();
    check_one_node(0, true);
    check_one_node(bytes, true);
    check_one_node(bytes - 1, false);
    check_one_node(1, false);
  }
}

/* One process rank does not get at the memory: all use the weights as they lie. */
static void test_not_shared(void **state) {
  struct rlimit limit;
  lrp_weights *w = NULL;
  (void)state;
  if (real.size == 1) skip();
  study.eval_dtype = LRP_F32;
  study.job.evaluate.memory = 0;
  limit_last(&limit);
  const lrp_status st = lrp_weights_open(&study, &real, &w);
  setrlimit(RLIMIT_NOFILE, &limit);
  assert_all_ranks(st == LRP_OK);
  assert_all_ranks(right_model(lrp_weights_dense(w), 0, layers, false));
  lrp_weights_close(&w);
}

/* ---- layers of configurations ---------------------------------------------------------------- */

static bool right_layer(lrp_weights *w, int c, int layer) {
  const lrp_plan *plan = &study.plan;
  lrp_held_layer held;
  bool ok = true;
  assert_int_equal(lrp_weights_layer(w, &store, c, layer, &held), LRP_OK);
  for (int t = 0; t < LRP_LLAMA_LINEARS; t++) {
    const lrp_linear *linear = &held.layer.linear[t];
    const int r = plan->configurations[c].rank[layer * plan->tensors + t];
    const bool as_expected = r == 0
                                 ? linear->rank == 0 && same(linear, &plain.layers[layer].linear[t])
                                 : same_as_factors(linear, lrp_plan_unit(plan, layer, t), r);
    ok = ok && as_expected;
  }
  lrp_layer_release(w, &held);
  lrp_layer_release(w, &held);
  return ok;
}

static void test_layers(void **state) {
  (void)state;
  for (int type = 0; type < 2; type++) {
    study.eval_dtype = type ? LRP_BF16 : LRP_F32;
    for (int mode = 0; mode < 2; mode++) { /* packed, with room for factors; as they lie, without */
      lrp_weights *w = NULL;
      bool ok = true;
      study.job.evaluate.memory = mode;
      assert_all_ranks(lrp_weights_open(&study, &real, &w) == LRP_OK);
      for (int again = 0; again < 2; again++) {
        for (int c = 0; c < study.plan.n_configurations; c++) {
          for (int l = 0; l < layers; l++) ok = ok && right_layer(w, c, l);
        }
      }
      assert_all_ranks(ok);
      lrp_weights_close(&w);
    }
  }
}

/* ---- several nodes --------------------------------------------------------------------------- */

/* A toy of a forward pass through this process rank's layers. */
static void pass(const lrp_llama *model, int from, int to, float *x) {
  lrp_linear_scratch scratch = {.operands = study.eval_dtype};
  float y[hidden];
  for (int l = from; l < to; l++) {
    const lrp_linear *o = &model->layers[l].linear[LRP_O_PROJ];
    assert_int_equal(lrp_linear_apply(o, x, LRP_F32, 1, hidden, y, hidden, false, &scratch),
                     LRP_OK);
    for (int i = 0; i < hidden; i++) x[i] += y[i];
  }
  lrp_linear_scratch_free(&scratch);
}

static void start(float *x) {
  for (int i = 0; i < hidden; i++) x[i] = cosf((float)i);
}

/* One item through the column of this process rank; whether the last has the bits of one node. */
static bool travel(lrp_weights *w) {
  lrp_column *column = lrp_weights_column(w);
  const int set[1] = {0};
  int from, to, got[1], n;
  int64_t item = 0;
  float x[hidden], expected[hidden];
  bool ok = true;
  lrp_weights_range(w, &from, &to);
  if (!column) return from == to;
  start(x);
  ok = lrp_weights_takes(w) ? lrp_spread_begin(column, item) : lrp_spread_take(column, &item);
  if (!lrp_weights_takes(w)) lrp_spread_receive(column, got, 1, &n, x, 1, hidden);
  pass(lrp_weights_dense(w), from, to, x);
  lrp_spread_send(column, LRP_OK, set, 1, x, 1, hidden);
  lrp_spread_end(column, LRP_OK);
  ok = lrp_spread_finish(column, LRP_OK) == LRP_OK && ok;
  if (lrp_spread_next(column) >= 0) return ok && from < to;
  start(expected);
  pass(&plain, 0, layers, expected);
  return ok && to == layers && memcmp(x, expected, sizeof x) == 0;
}

static int sum(int mine) {
  MPI_Allreduce(MPI_IN_PLACE, &mine, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
  return mine;
}

/* What the module should decide for nodes of that memory. */
static lrp_weights_plan decision(int n_nodes, int64_t memory) {
  int64_t packed[layers], mapped[layers];
  list_bytes(packed, mapped);
  return lrp_weights_choose(packed, mapped, layers, n_nodes, memory);
}

/* The model on these nodes, as columns of so many process ranks in all. */
static void check_nodes(const lrp_topology *topo, int64_t memory, int columns) {
  const lrp_weights_plan plan = decision(topo->n_nodes, memory);
  lrp_weights *w = NULL;
  int from, to, capacity[8], total = 0;
  study.job.evaluate.memory = memory;
  assert_all_ranks(lrp_weights_open(&study, topo, &w) == LRP_OK);
  lrp_weights_range(w, &from, &to);
  lrp_weights_capacity(w, capacity);
  for (int i = 0; i < topo->n_nodes; i++) total += capacity[i];
  assert_all_ranks(total == columns && sum(lrp_weights_takes(w)) == columns);
  assert_all_ranks(sum(to - from) == columns * layers);
  assert_all_ranks((lrp_weights_column(w) != NULL) == (plan.together > 1 && from < to));
  assert_all_ranks(from == to || right_model(lrp_weights_dense(w), from, to, plan.packed));
  assert_all_ranks(plan.together == 1 || travel(w));
  lrp_weights_close(&w);
}

/* Process rank p on node node_of[p]. */
static void set_nodes(const int *node_of, lrp_topology *topo) {
  static int ranks[8];
  memset(ranks, 0, sizeof ranks);
  *topo = real;
  topo->node_index = node_of[real.me];
  topo->node_ranks = ranks;
  topo->n_nodes = node_of[real.size - 1] + 1;
  for (int p = 0; p < real.size; p++) ranks[node_of[p]]++;
  MPI_Comm_split(MPI_COMM_WORLD, topo->node_index, real.me, &topo->node);
}

static void test_each_on_its_node(void **state) {
  static const int node_of[] = {0, 1, 2, 3};
  static const double parts[] = {1.0, 0.62, 0.45, 0.32, 0.1};
  lrp_topology topo;
  int together = 0;
  (void)state;
  set_nodes(node_of, &topo);
  for (int type = 0; type < 2; type++) {
    study.eval_dtype = type ? LRP_BF16 : LRP_F32;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
      const int64_t memory = (int64_t)(parts[i] * (double)packed_model());
      const lrp_weights_plan plan = decision(real.size, memory);
      check_nodes(&topo, memory, real.size / plan.together);
      if (plan.together > together) together = plan.together;
    }
  }
  assert_int_equal(together, real.size);
  MPI_Comm_free(&topo.node);
}

/* Nodes of two and two, or of three and one: two of the three have nobody to work with. */
static void test_columns(void **state) {
  static const int even[] = {0, 0, 1, 1}, uneven[] = {0, 0, 0, 1};
  lrp_topology topo;
  (void)state;
  if (real.size < 4) skip();
  study.eval_dtype = LRP_BF16;
  const int64_t memory = (int64_t)(0.62 * (double)packed_model());
  assert_int_equal(decision(2, memory).together, 2);
  set_nodes(even, &topo);
  check_nodes(&topo, memory, 2);
  check_nodes(&topo, 2 * memory, 4);
  MPI_Comm_free(&topo.node);
  set_nodes(uneven, &topo);
  check_nodes(&topo, memory, 1);
  MPI_Comm_free(&topo.node);
}

/* Nor on one node of a spread model: all nodes go on without packing. */
static void test_spread_not_shared(void **state) {
  static const int node_of[] = {0, 0, 1, 1};
  struct rlimit limit;
  lrp_topology topo;
  lrp_weights *w = NULL;
  int from, to;
  (void)state;
  if (real.size < 4) skip();
  study.eval_dtype = LRP_BF16;
  study.job.evaluate.memory = (int64_t)(0.62 * (double)packed_model());
  set_nodes(node_of, &topo);
  limit_last(&limit);
  const lrp_status st = lrp_weights_open(&study, &topo, &w);
  setrlimit(RLIMIT_NOFILE, &limit);
  assert_all_ranks(st == LRP_OK);
  lrp_weights_range(w, &from, &to);
  assert_all_ranks(right_model(lrp_weights_dense(w), from, to, false));
  assert_all_ranks(travel(w));
  lrp_weights_close(&w);
  MPI_Comm_free(&topo.node);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_one_node), cmocka_unit_test(test_not_shared),
      cmocka_unit_test(test_layers),   cmocka_unit_test(test_each_on_its_node),
      cmocka_unit_test(test_columns),  cmocka_unit_test(test_spread_not_shared),
  };
  MPI_Init(&argc, &argv);
  int failed = lrp_topology_init(&real, MPI_COMM_WORLD) != LRP_OK;
  lrp_log_init(real.me, true);
  if (!failed) failed = cmocka_run_group_tests(tests, study_setup, study_teardown);
  lrp_topology_free(&real);
  MPI_Finalize();
  return failed;
}
