#include "io/model/model.h"
#include "tests/io/model/fixture.h"

static void assert_refused_dir(const char *dir, lrp_status st, const char *part) {
  lrp_model m;
  assert_failure(lrp_model_open(dir, &m), st, part);
  assert_null(m.shards);
  assert_null(m.dir);
  lrp_model_close(&m);
}

static void assert_refused(const fixture *f, const char *part) {
  assert_refused_dir(fixture_write(f), LRP_ERR_DATA, part);
}

static int number_of(const fixture *f, const char *name) {
  for (int i = 0; i < f->count; i++) {
    if (strcmp(f->tensors[i].name, name) == 0) return i;
  }
  fail_msg("no %s in the fixture", name);
  return -1;
}

/* The view shows the values that the fixture wrote for name. */
static void assert_view(const fixture *f, const char *name, const lrp_matrix *view) {
  const int number = number_of(f, name);
  assert_int_equal(view->ld, view->cols);
  for (int64_t i = 0; i < view->rows; i++) {
    for (int64_t j = 0; j < view->cols; j++) {
      const char *at =
          (const char *)lrp_matrix_row(view, i) + (size_t)j * lrp_dtype_size(view->dtype);
      float value;
      lrp_to_f32(&value, at, view->dtype, 1);
      assert_true(value == fixture_value(number, i * view->cols + j));
    }
  }
}

/* Opens f; every weight that is scanned shows what was written. */
static void assert_accepted(const fixture *f, int64_t weights) {
  lrp_model m;
  check_ok(lrp_model_open(fixture_write(f), &m));
  assert_int_equal(lrp_model_weight_count(&m), weights);
  for (int64_t i = 0; i < weights; i++) {
    const char *name;
    lrp_matrix view;
    lrp_model_weight(&m, i, &name, &view);
    assert_view(f, name, &view);
  }
  lrp_model_close(&m);
}

static void test_single_file(void **state) {
  fixture f;
  lrp_model m;
  lrp_matrix view;
  (void)state;

  fixture_init(&f);
  fixture_add(&f, "model.layers.0.self_attn.rotary_emb.inv_freq", 0, 1); /* tolerated */
  assert_accepted(&f, 21);
  check_ok(lrp_model_open(fixture_write(&f), &m));
  assert_int_equal(m.n_shards, 1);
  assert_string_equal(m.shards[0].name, "model.safetensors");
  assert_int_equal(m.config.llama.hidden_size, 10);
  check_ok(lrp_model_matrix(&m, "model.layers.1.self_attn.k_proj.weight", 4, 10, &view));
  assert_int_equal(view.rows, 4);
  assert_int_equal(view.cols, 10);
  assert_view(&f, "model.layers.1.self_attn.k_proj.weight", &view);
  check_ok(lrp_model_matrix(&m, "model.norm.weight", 1, 10, &view));
  assert_view(&f, "model.norm.weight", &view);
  assert_failure(lrp_model_matrix(&m, "model.norm.weight", 10, 1, &view), LRP_ERR_DATA,
                 "tensor model.norm.weight: shape is [10], but config.json asks for [10, 1]");
  assert_failure(lrp_model_matrix(&m, "model.layers.2.mlp.up_proj.weight", 6, 10, &view),
                 LRP_ERR_DATA, "tensor model.layers.2.mlp.up_proj.weight is absent");
  lrp_model_close(&m);
  lrp_model_close(&m);
}

static void test_weight_order(void **state) {
  static const char *const expected[] = {"model.embed_tokens.weight",
                                         "model.layers.0.input_layernorm.weight",
                                         "model.layers.0.post_attention_layernorm.weight",
                                         "model.layers.0.self_attn.q_proj.weight",
                                         "model.layers.0.self_attn.k_proj.weight",
                                         "model.layers.0.self_attn.v_proj.weight",
                                         "model.layers.0.self_attn.o_proj.weight",
                                         "model.layers.0.mlp.gate_proj.weight",
                                         "model.layers.0.mlp.up_proj.weight",
                                         "model.layers.0.mlp.down_proj.weight",
                                         "model.layers.1.input_layernorm.weight"};
  const char *name;
  lrp_matrix view;
  lrp_model m;
  fixture f;
  (void)state;

  fixture_init(&f);
  check_ok(lrp_model_open(fixture_write(&f), &m));
  for (int i = 0; i < 11; i++) {
    lrp_model_weight(&m, i, &name, &view);
    assert_string_equal(name, expected[i]);
  }
  lrp_model_weight(&m, 19, &name, &view);
  assert_string_equal(name, "model.norm.weight");
  lrp_model_weight(&m, 20, &name, &view);
  assert_string_equal(name, "lm_head.weight");
  lrp_model_close(&m);
}

static void test_shards(void **state) {
  lrp_model m;
  fixture f;
  (void)state;

  fixture_init(&f);
  fixture_split(&f, 3);
  assert_accepted(&f, 21);
  /* Not in the index, but there: tolerated. */
  f.tensors[4].listed = -1;
  assert_accepted(&f, 21);
  check_ok(lrp_model_open(fixture_write(&f), &m));
  assert_int_equal(m.n_shards, 3);
  assert_string_equal(m.shards[0].name, "model-00001-of-00003.safetensors");
  assert_string_equal(m.shards[2].name, "model-00003-of-00003.safetensors");
  lrp_model_close(&m);
}

static void test_dtypes(void **state) {
  static const char *const names[] = {"F32", "F16", "BF16"};
  const lrp_dtype dtypes[] = {LRP_F32, LRP_F16, LRP_BF16};
  (void)state;

  for (int d = 0; d < 3; d++) {
    lrp_model m;
    fixture f;
    fixture_init(&f);
    for (int i = 0; i < f.count; i++) f.tensors[i].dtype = names[d];
    assert_accepted(&f, 21);
    /* Six of the fourteen linears are of another type, and all that is no linear. */
    for (int i = 0; i < f.count; i++) {
      if (strstr(f.tensors[i].name, "mlp") || !strstr(f.tensors[i].name, "proj")) {
        f.tensors[i].dtype = names[(d + 1) % 3];
      }
    }
    assert_accepted(&f, 21);
    check_ok(lrp_model_open(fixture_write(&f), &m));
    assert_int_equal(lrp_model_dtype(&m), dtypes[d]);
    lrp_model_close(&m);
  }
}

static void test_wrong_dtypes(void **state) {
  static const char *const names[] = {"F64", "I64"};
  fixture f;
  (void)state;

  for (int i = 0; i < 2; i++) {
    char part[128];
    fixture_init(&f);
    fixture_find(&f, "model.layers.1.mlp.up_proj.weight")->dtype = names[i];
    snprintf(part, sizeof part,
             "model.safetensors: tensor model.layers.1.mlp.up_proj.weight: dtype %s is not "
             "supported (supported: F32, F16, BF16)",
             names[i]);
    assert_refused(&f, part);
  }
}

static void test_wrong_shapes(void **state) {
  fixture_tensor *t;
  fixture f;
  (void)state;

  fixture_init(&f);
  t = fixture_find(&f, "model.layers.0.self_attn.q_proj.weight");
  t->shape[0] = 10;
  t->shape[1] = 8;
  assert_refused(&f,
                 "tensor model.layers.0.self_attn.q_proj.weight: shape is [10, 8], but "
                 "config.json asks for [8, 10]");
  fixture_init(&f);
  t = fixture_find(&f, "model.layers.0.self_attn.k_proj.weight"); /* as if without groups */
  t->shape[0] = 8;
  assert_refused(&f, "shape is [8, 10], but config.json asks for [4, 10]");
  fixture_init(&f);
  t = fixture_find(&f, "model.layers.1.input_layernorm.weight");
  t->shape[0] = 11;
  assert_refused(&f, "shape is [11], but config.json asks for [10]");
  fixture_init(&f);
  t = fixture_find(&f, "model.norm.weight");
  *t = (fixture_tensor){.dtype = "F32", .ndim = 2, .shape = {1, 10}};
  snprintf(t->name, sizeof t->name, "model.norm.weight");
  assert_refused(&f, "shape is [1, 10], but config.json asks for [10]");
  fixture_init(&f);
  t = fixture_find(&f, "lm_head.weight");
  t->ndim = 3;
  t->shape[2] = 1;
  assert_refused(&f, "shape is [12, 10, 1], but config.json asks for [12, 10]");
  fixture_init(&f);
  t = fixture_find(&f, "model.embed_tokens.weight");
  t->shape[0] = 13;
  assert_refused(&f, "shape is [13, 10], but config.json asks for [12, 10]");
}

static void test_absent_tensors(void **state) {
  fixture f;
  (void)state;

  fixture_init(&f);
  fixture_remove(&f, "model.layers.1.mlp.down_proj.weight");
  fixture_remove(&f, "model.norm.weight");
  assert_refused(&f,
                 "2 of 21 weights are absent: model.layers.1.mlp.down_proj.weight, "
                 "model.norm.weight");
  fixture_init(&f);
  f.count = 1; /* the list is too long for a message */
  assert_refused(&f, "20 of 21 weights are absent: ");
}

static void test_tied(void **state) {
  const char *const both[] = {"model.embed_tokens.weight", "lm_head.weight"};
  fixture f;
  (void)state;

  fixture_init(&f);
  f.config = FIXTURE_CONFIG(", \"tie_word_embeddings\": true");
  assert_accepted(&f, 20);
  for (int missing = 0; missing < 3; missing++) {
    lrp_llama llama;
    lrp_model m;
    fixture_init(&f);
    f.config = FIXTURE_CONFIG(", \"tie_word_embeddings\": true");
    if (missing < 2) fixture_remove(&f, both[missing]);
    assert_accepted(&f, 20);
    check_ok(lrp_model_open(fixture_write(&f), &m));
    check_ok(lrp_model_llama(&m, &llama));
    assert_view(&f, both[missing == 0 ? 1 : 0], &llama.embed_tokens);
    assert_ptr_equal(llama.lm_head.data, llama.embed_tokens.data);
    lrp_model_llama_free(&llama);
    lrp_model_close(&m);
  }
  fixture_remove(&f, both[0]);
  fixture_remove(&f, both[1]);
  assert_refused(&f, "1 of 20 weights are absent: model.embed_tokens.weight");
  for (int missing = 0; missing < 2; missing++) {
    fixture_init(&f);
    fixture_remove(&f, both[missing]);
    assert_refused(&f, both[missing]); /* not tied: both must be there */
  }
}

static void add_biases(fixture *f, bool attention, bool mlp) {
  static const struct {
    const char *name;
    int64_t length;
  } biases[] = {{"self_attn.q_proj", 8},  {"self_attn.k_proj", 4}, {"self_attn.v_proj", 4},
                {"self_attn.o_proj", 10}, {"mlp.gate_proj", 6},    {"mlp.up_proj", 6},
                {"mlp.down_proj", 10}};
  for (int l = 0; l < 2; l++) {
    for (int i = attention ? 0 : 4; i < (mlp ? 7 : 4); i++) {
      char name[96];
      snprintf(name, sizeof name, "model.layers.%d.%s.bias", l, biases[i].name);
      fixture_add(f, name, 0, biases[i].length);
    }
  }
}

static void test_biases(void **state) {
  lrp_llama llama;
  lrp_model m;
  fixture f;
  (void)state;

  fixture_init(&f);
  f.config = FIXTURE_CONFIG(", \"attention_bias\": true, \"mlp_bias\": true");
  assert_refused(&f, "14 of 35 weights are absent: model.layers.0.self_attn.q_proj.bias");
  add_biases(&f, true, true);
  assert_accepted(&f, 35);

  fixture_init(&f);
  f.config = FIXTURE_CONFIG(", \"mlp_bias\": true");
  add_biases(&f, false, true);
  assert_accepted(&f, 27);
  check_ok(lrp_model_open(fixture_write(&f), &m));
  check_ok(lrp_model_llama(&m, &llama));
  assert_null(llama.layers[1].linear[LRP_O_PROJ].bias.data);
  assert_int_equal(llama.layers[1].linear[LRP_DOWN_PROJ].bias.rows, 1);
  assert_int_equal(llama.layers[1].linear[LRP_DOWN_PROJ].bias.cols, 10);
  assert_view(&f, "model.layers.1.mlp.down_proj.bias", &llama.layers[1].linear[LRP_DOWN_PROJ].bias);
  lrp_model_llama_free(&llama);
  lrp_model_close(&m);
}

static void test_llama(void **state) {
  lrp_llama llama;
  lrp_model m;
  fixture f;
  (void)state;

  fixture_init(&f);
  check_ok(lrp_model_open(fixture_write(&f), &m));
  check_ok(lrp_model_llama(&m, &llama));
  assert_int_equal(llama.config.num_key_value_heads, 2);
  assert_view(&f, "model.embed_tokens.weight", &llama.embed_tokens);
  assert_view(&f, "lm_head.weight", &llama.lm_head);
  assert_view(&f, "model.norm.weight", &llama.norm);
  for (int l = 0; l < 2; l++) {
    char name[96];
    snprintf(name, sizeof name, "model.layers.%d.input_layernorm.weight", l);
    assert_view(&f, name, &llama.layers[l].input_norm);
    snprintf(name, sizeof name, "model.layers.%d.post_attention_layernorm.weight", l);
    assert_view(&f, name, &llama.layers[l].post_attn_norm);
    for (int t = 0; t < LRP_LLAMA_LINEARS; t++) {
      const lrp_linear *linear = &llama.layers[l].linear[t];
      int64_t rows, cols;
      lrp_config_tensor_path(&m.config, l, t, name, sizeof name);
      lrp_config_tensor_shape(&m.config, t, &rows, &cols);
      assert_view(&f, name, &linear->w);
      assert_int_equal(linear->n_out, rows);
      assert_int_equal(linear->n_in, cols);
      assert_int_equal(linear->rank, 0);
      assert_null(linear->bias.data);
    }
  }
  lrp_model_llama_free(&llama);
  lrp_model_llama_free(&llama);
  lrp_model_close(&m);
}

/* Path of a shared model, or NULL (said aloud) where there is none. */
static const char *shared_model(const char *name) {
  static char path[1024];
  const char *shared = getenv("LRP_SHARED");
  snprintf(path, sizeof path, "%s/data/models/%s", shared ? shared : "", name);
  if (shared && access(path, R_OK) == 0) return path;
  print_message("skipped: no model %s under LRP_SHARED\n", name);
  return NULL;
}

static float element(const lrp_matrix *a, int64_t i, int64_t j) {
  float value;
  lrp_to_f32(&value, (const char *)lrp_matrix_row(a, i) + 4 * j, LRP_F32, 1);
  return value;
}

static void test_shared_llama(void **state) {
  const char *dir = shared_model("stories260K");
  int64_t total = 0;
  lrp_llama llama;
  lrp_model m;
  (void)state;

  if (!dir) skip();
  check_ok(lrp_model_open(dir, &m));
  assert_int_equal(lrp_config_parameters(&m.config), 260032);
  assert_int_equal(lrp_model_dtype(&m), LRP_F32);
  for (int64_t i = 0; i < lrp_model_weight_count(&m); i++) {
    const char *name;
    lrp_matrix view;
    int64_t row, col;
    lrp_model_weight(&m, i, &name, &view);
    total += view.rows * view.cols;
    assert_int_equal(lrp_matrix_count_nonfinite(&view, &row, &col), 0);
  }
  assert_int_equal(total, 260032); /* what is scanned is what is counted */

  check_ok(lrp_model_llama(&m, &llama)); /* values as another reader prints them */
  assert_true(element(&llama.embed_tokens, 0, 0) == -0.29474878311157227f);
  assert_true(element(&llama.embed_tokens, 511, 63) == -0.424032598733902f);
  assert_true(element(&llama.layers[4].linear[LRP_DOWN_PROJ].w, 63, 171) ==
              -0.0035068716388195753f);
  assert_true(element(&llama.layers[2].linear[LRP_K_PROJ].w, 31, 0) == -0.05881032720208168f);
  assert_true(element(&llama.norm, 0, 5) == 4.425094127655029f);
  lrp_model_llama_free(&llama);
  lrp_model_close(&m);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_single_file),    cmocka_unit_test(test_weight_order),
      cmocka_unit_test(test_shards),         cmocka_unit_test(test_dtypes),
      cmocka_unit_test(test_wrong_dtypes),   cmocka_unit_test(test_wrong_shapes),
      cmocka_unit_test(test_absent_tensors), cmocka_unit_test(test_tied),
      cmocka_unit_test(test_biases),         cmocka_unit_test(test_llama),
      cmocka_unit_test(test_shared_llama),
  };
  return cmocka_run_group_tests(tests, temp_setup, temp_teardown);
}
