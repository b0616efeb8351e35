/* The model maker: the same weights again, in any number of files and with any number of threads;
 * files that follow their formats; errors with their exit codes. SYNTH_MODEL is its path. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* after the headers that it needs */
#include <cmocka.h>

#include "kernels/matrix.h"
#include "tests/tools/synth_reader.h"

static char work[] = "synth_model_XXXXXX";

/* Run the tool in the work directory, by way of the shell; its exit code. */
__attribute__((format(printf, 1, 2))) static int synth(const char *fmt, ...) {
  char arguments[512], command[1024];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(arguments, sizeof arguments, fmt, ap);
  va_end(ap);
  snprintf(command, sizeof command, "cd %s && '%s' %s >stdout 2>stderr", work, SYNTH_MODEL,
           arguments);
  const int status = system(command);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static char *slurp(const char *name, size_t *size) {
  char path[256];
  snprintf(path, sizeof path, "%s/%s", work, name);
  return lrp_synth_slurp(path, size);
}

static lrp_synth_weights read_weights(const char *name) {
  char path[256];
  lrp_synth_weights w;
  snprintf(path, sizeof path, "%s/%s", work, name);
  assert_true(lrp_synth_weights_read(path, &w));
  return w;
}

static json_t *read_json(const char *name) {
  size_t size;
  char *text = slurp(name, &size);
  assert_non_null(text);
  json_t *value = json_loads(text, 0, NULL);
  free(text);
  assert_non_null(value);
  return value;
}

static bool same_file(const char *a, const char *b) {
  size_t na, nb;
  char *x = slurp(a, &na);
  char *y = slurp(b, &nb);
  const bool same = x && y && na == nb && memcmp(x, y, na) == 0;
  free(x);
  free(y);
  return same;
}

static void assert_shape(const lrp_synth_weights *w, const char *name, int64_t m, int64_t n) {
  size_t size;
  json_t *entry;
  assert_non_null(lrp_synth_weights_find(w, name, &size, &entry));
  const json_t *shape = json_object_get(entry, "shape");
  assert_int_equal(json_array_size(shape), n ? 2 : 1);
  assert_int_equal(json_integer_value(json_array_get(shape, 0)), m);
  if (n) assert_int_equal(json_integer_value(json_array_get(shape, 1)), n);
}

static void test_same_seed_same_model(void **state) {
  (void)state;
  assert_int_equal(synth("same1 --seed 7 --layers 2"), 0);
  assert_int_equal(synth("same2 --seed=7 --layers=2"), 0);
  assert_int_equal(synth("other --seed 8 --layers 2"), 0);
  assert_true(same_file("same1/model.safetensors", "same2/model.safetensors"));
  assert_true(same_file("same1/tokenizer.model", "same2/tokenizer.model"));
  assert_true(same_file("same1/config.json", "same2/config.json"));
  assert_false(same_file("same1/model.safetensors", "other/model.safetensors"));
}

static void test_threads_do_not_matter(void **state) {
  (void)state;
  setenv("OMP_NUM_THREADS", "3", 1);
  assert_int_equal(synth("threads3 --hidden 96 --heads 3"), 0);
  setenv("OMP_NUM_THREADS", "1", 1);
  assert_int_equal(synth("threads1 --hidden 96 --heads 3"), 0);
  assert_true(same_file("threads1/model.safetensors", "threads3/model.safetensors"));
}

static void assert_same_tensor(const lrp_synth_weights *whole, const lrp_synth_weights *part,
                               const char *name) {
  size_t na, nb;
  const char *a = lrp_synth_weights_find(whole, name, &na, NULL);
  const char *b = lrp_synth_weights_find(part, name, &nb, NULL);
  assert_non_null(a);
  assert_non_null(b);
  assert_int_equal(na, nb);
  assert_memory_equal(a, b, na);
}

static void test_shards_hold_the_same_tensors(void **state) {
  (void)state;
  const char *name;
  json_t *file;
  int64_t seen = 0;
  size_t total = 0;
  assert_int_equal(synth("whole --vocab 999"), 0);
  assert_int_equal(synth("parts --vocab 999 --shards 3"), 0);
  lrp_synth_weights whole = read_weights("whole/model.safetensors");
  json_t *index = read_json("parts/model.safetensors.index.json");
  const json_t *map = json_object_get(index, "weight_map");
  for (int s = 1; s <= 3; s++) {
    char shard[64], path[128];
    snprintf(shard, sizeof shard, "model-%05d-of-00003.safetensors", s);
    snprintf(path, sizeof path, "parts/%s", shard);
    lrp_synth_weights part = read_weights(path);
    const int64_t before = seen;
    json_object_foreach((json_t *)map, name, file) {
      if (strcmp(json_string_value(file), shard) != 0) continue;
      assert_same_tensor(&whole, &part, name);
      seen++;
    }
    assert_true(seen > before);
    assert_int_equal(json_object_size(part.header) - 1, seen - before);
    total += (size_t)(part.bytes + part.size - part.data);
    lrp_synth_weights_free(&part);
  }
  assert_int_equal(seen, json_object_size(whole.header) - 1);
  assert_int_equal(
      json_integer_value(json_object_get(json_object_get(index, "metadata"), "total_size")), total);
  json_decref(index);
  lrp_synth_weights_free(&whole);
}

static void test_as_many_shards_as_tensors(void **state) {
  (void)state;
  assert_int_equal(synth("many --layers 1 --tied --shards 11"), 0); /* 1 + 9 + 1 tensors */
  lrp_synth_weights w = read_weights("many/model-00011-of-00011.safetensors");
  assert_int_equal(json_object_size(w.header), 2);
  assert_shape(&w, "model.norm.weight", 64, 0);
  lrp_synth_weights_free(&w);
  assert_int_equal(synth("more --layers 1 --tied --shards 12"), 2);
}

static void test_llama_shapes(void **state) {
  (void)state;
  assert_int_equal(synth("shapes --hidden 40 --intermediate 56 --layers 2 --heads 6 --kv-heads 2 "
                         "--head-dim 10 --vocab 400 --attention-bias --rope-theta 5e5 "
                         "--rope-scaling llama3 --max-position 4096"),
                   0);
  lrp_synth_weights w = read_weights("shapes/model.safetensors");
  assert_int_equal(json_object_size(w.header), 1 + 1 + 2 * 13 + 2);
  assert_shape(&w, "model.embed_tokens.weight", 400, 40);
  assert_shape(&w, "model.layers.1.self_attn.q_proj.weight", 60, 40);
  assert_shape(&w, "model.layers.1.self_attn.k_proj.weight", 20, 40);
  assert_shape(&w, "model.layers.1.self_attn.v_proj.bias", 20, 0);
  assert_shape(&w, "model.layers.1.self_attn.o_proj.weight", 40, 60);
  assert_shape(&w, "model.layers.1.self_attn.o_proj.bias", 40, 0);
  assert_shape(&w, "model.layers.0.mlp.gate_proj.weight", 56, 40);
  assert_shape(&w, "model.layers.0.mlp.down_proj.weight", 40, 56);
  assert_shape(&w, "model.layers.0.input_layernorm.weight", 40, 0);
  assert_shape(&w, "lm_head.weight", 400, 40);
  lrp_synth_weights_free(&w);

  json_t *config = read_json("shapes/config.json");
  const json_t *scaling = json_object_get(config, "rope_scaling");
  assert_string_equal(
      json_string_value(json_array_get(json_object_get(config, "architectures"), 0)),
      "LlamaForCausalLM");
  assert_int_equal(json_integer_value(json_object_get(config, "num_key_value_heads")), 2);
  assert_int_equal(json_integer_value(json_object_get(config, "head_dim")), 10);
  assert_true(json_is_true(json_object_get(config, "attention_bias")));
  assert_true(json_is_false(json_object_get(config, "tie_word_embeddings")));
  assert_true(json_number_value(json_object_get(config, "rope_theta")) == 5e5);
  assert_string_equal(json_string_value(json_object_get(scaling, "rope_type")), "llama3");
  json_decref(config);
}

static void test_bert(void **state) {
  (void)state;
  size_t size;
  int lines = 0;
  assert_int_equal(synth("bert --arch bert --hidden 32 --intermediate 48 --layers 2 --heads 2 "
                         "--vocab 3000 --max-position 64"),
                   0);
  lrp_synth_weights w = read_weights("bert/model.safetensors");
  assert_int_equal(json_object_size(w.header), 1 + 5 + 2 * 16 + 4);
  assert_shape(&w, "bert.embeddings.position_embeddings.weight", 64, 32);
  assert_shape(&w, "bert.encoder.layer.1.attention.self.query.bias", 32, 0);
  assert_shape(&w, "bert.encoder.layer.1.attention.output.LayerNorm.weight", 32, 0);
  assert_shape(&w, "bert.encoder.layer.0.intermediate.dense.weight", 48, 32);
  assert_shape(&w, "bert.encoder.layer.0.output.dense.weight", 32, 48);
  assert_shape(&w, "classifier.weight", 2, 32);
  lrp_synth_weights_free(&w);

  char *vocab = slurp("bert/vocab.txt", &size);
  assert_non_null(vocab);
  for (size_t i = 0; i < size; i++) lines += vocab[i] == '\n';
  assert_int_equal(lines, 3000);
  assert_memory_equal(vocab, "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n", 31);
  assert_non_null(strstr(vocab, "\nz\n"));
  assert_non_null(strstr(vocab, "\n##z\n"));
  free(vocab);
  json_t *config = read_json("bert/config.json");
  assert_string_equal(json_string_value(json_object_get(config, "model_type")), "bert");
  json_decref(config);
}

/* The 16-bit models are the float32 model, rounded. */
static void test_dtypes(void **state) {
  static const char *const names[] = {
      [LRP_F32] = "", [LRP_F16] = "float16", [LRP_BF16] = "bfloat16"};
  static const char tensor[] = "model.layers.1.mlp.up_proj.weight";
  (void)state;
  assert_int_equal(synth("float32 --layers 2"), 0);
  lrp_synth_weights wide = read_weights("float32/model.safetensors");
  for (lrp_dtype dtype = LRP_F16; dtype <= LRP_BF16; dtype++) {
    char path[64];
    size_t na, nb;
    uint16_t rounded[172 * 64];
    assert_int_equal(synth("%s --layers 2 --dtype %s", names[dtype], names[dtype]), 0);
    snprintf(path, sizeof path, "%s/model.safetensors", names[dtype]);
    lrp_synth_weights w = read_weights(path);
    const char *a = lrp_synth_weights_find(&wide, tensor, &na, NULL);
    const char *b = lrp_synth_weights_find(&w, tensor, &nb, NULL);
    assert_int_equal(na, 172 * 64 * 4);
    assert_int_equal(nb, sizeof rounded);
    float *x = malloc(na);
    assert_non_null(x);
    memcpy(x, a, na);
    lrp_from_f32(rounded, dtype, x, (size_t)172 * 64);
    assert_memory_equal(b, rounded, sizeof rounded);
    free(x);
    lrp_synth_weights_free(&w);
  }
  lrp_synth_weights_free(&wide);
}

/* (largest singular value / Frobenius norm)^2 of a tensor, by power iteration; checks its spread.
 */
static double leading_share(const char *model, const char *name, int m, int n) {
  char path[128];
  size_t size;
  double frobenius = 0.0;
  double norm = 0.0;
  double x[256], y[256];
  snprintf(path, sizeof path, "%s/model.safetensors", model);
  lrp_synth_weights w = read_weights(path);
  const char *data = lrp_synth_weights_find(&w, name, &size, NULL);
  assert_true(m <= 256 && n <= 256 && size == (size_t)m * (size_t)n * 4);
  float *a = malloc(size);
  assert_non_null(a);
  memcpy(a, data, size);
  for (int i = 0; i < m * n; i++) frobenius += (double)a[i] * a[i];
  for (int j = 0; j < n; j++) x[j] = 1.0 + j % 3;
  for (int step = 0; step < 50; step++) {
    double length = 0.0;
    norm = 0.0;
    for (int j = 0; j < n; j++) length += x[j] * x[j];
    for (int i = 0; i < m; i++) {
      y[i] = 0.0;
      for (int j = 0; j < n; j++) y[i] += a[i * n + j] * x[j] / sqrt(length);
      norm += y[i] * y[i];
    }
    memset(x, 0, sizeof x);
    for (int i = 0; i < m * n; i++) x[i % n] += a[i] * y[i / n];
  }
  free(a);
  lrp_synth_weights_free(&w);
  assert_true(frobenius > 0.5 * m && frobenius < 2.0 * m); /* variance 1 / n */
  return norm / frobenius;
}

static void test_spectrum(void **state) {
  static const char q[] = "model.layers.0.self_attn.q_proj.weight";
  (void)state;
  assert_int_equal(synth("flat --hidden 256 --layers 1 --outliers 0"), 0);
  assert_int_equal(synth("spiked --hidden 256 --layers 1 --outliers 1"), 0);
  /* Energies in units of the floor's 256^2: leading 36 / 256 of 36 H_64 / 256 + 1; 2500 / 256. */
  const double flat = leading_share("flat", q, 256, 256);
  const double spiked = leading_share("spiked", q, 256, 256);
  assert_true(flat > 0.05 && flat < 0.2);
  assert_true(spiked > 0.8 && spiked < 0.95);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_same_seed_same_model),
      cmocka_unit_test(test_threads_do_not_matter),
      cmocka_unit_test(test_shards_hold_the_same_tensors),
      cmocka_unit_test(test_as_many_shards_as_tensors),
      cmocka_unit_test(test_llama_shapes),
      cmocka_unit_test(test_bert),
      cmocka_unit_test(test_dtypes),
      cmocka_unit_test(test_spectrum),
  };
  char command[64];
  if (!mkdtemp(work)) return 1;
  const int failed = cmocka_run_group_tests(tests, NULL, NULL);
  snprintf(command, sizeof command, "rm -rf %s", work);
  return system(command) == 0 ? failed : 1;
}
