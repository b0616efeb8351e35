#include "io/model/config.h"
#include "tests/io/model/fixture.h"

/* Keys that have no default, with those of the test after them. */
#define LLAMA(more)                                                                               \
  "{\"architectures\": [\"LlamaForCausalLM\"], \"hidden_size\": 64, \"intermediate_size\": 172, " \
  "\"num_hidden_layers\": 5, \"num_attention_heads\": 8, \"vocab_size\": 512" more "}"
#define MISTRAL(more)                                                                  \
  "{\"architectures\": [\"MistralForCausalLM\"], \"hidden_size\": 64, "                \
  "\"intermediate_size\": 172, \"num_hidden_layers\": 5, \"num_attention_heads\": 8, " \
  "\"vocab_size\": 512" more "}"
#define QWEN2(more)                                                                    \
  "{\"architectures\": [\"Qwen2ForCausalLM\"], \"hidden_size\": 64, "                  \
  "\"intermediate_size\": 172, \"num_hidden_layers\": 5, \"num_attention_heads\": 8, " \
  "\"num_key_value_heads\": 4, \"vocab_size\": 512" more "}"

static lrp_status read_text(const char *text, lrp_config *c) {
  temp_text("config.json", text);
  return lrp_config_read(temp_dir, c);
}

static lrp_config accepted(const char *text) {
  lrp_config c;
  check_ok(read_text(text, &c));
  return c;
}

static void assert_refused(const char *text, const char *part) {
  lrp_config c;
  assert_failure(read_text(text, &c), LRP_ERR_DATA, part);
  lrp_failure_clear();
  (void)read_text(text, &c);
  check_message(LRP_ERR_DATA, "/config.json"); /* names the file, too */
  lrp_failure_clear();
}

static void test_defaults(void **state) {
  const lrp_config c = accepted(LLAMA(""));
  (void)state;

  assert_string_equal(c.architecture, "LlamaForCausalLM");
  assert_int_equal(c.llama.hidden_size, 64);
  assert_int_equal(c.llama.intermediate_size, 172);
  assert_int_equal(c.llama.vocab_size, 512);
  assert_int_equal(c.llama.num_hidden_layers, 5);
  assert_int_equal(lrp_config_layers(&c), 5);
  assert_int_equal(c.llama.num_attention_heads, 8);
  assert_int_equal(c.llama.num_key_value_heads, 8);
  assert_int_equal(c.llama.head_dim, 8);
  assert_int_equal(c.llama.max_position_embeddings, 2048);
  assert_true(c.llama.rms_norm_eps == 1e-6);
  assert_true(c.llama.rope_theta == 10000.0);
  assert_false(c.tie_word_embeddings || c.attention_bias || c.mlp_bias);
  assert_int_equal(c.bos_token_id, -1);
  assert_int_equal(c.eos_token_id, -1);
}

static void test_all_keys(void **state) {
  const lrp_config c = accepted(
      LLAMA(", \"num_key_value_heads\": 2, \"head_dim\": 6, \"max_position_embeddings\": 77,"
            "\"rms_norm_eps\": 1e-05, \"rope_theta\": 1000000, \"rope_scaling\": null,"
            "\"hidden_act\": \"silu\", \"attention_bias\": true, \"mlp_bias\": true,"
            "\"tie_word_embeddings\": true, \"bos_token_id\": 1, \"eos_token_id\": [7, 9],"
            "\"torch_dtype\": \"float32\""));
  (void)state;

  assert_int_equal(c.llama.num_key_value_heads, 2);
  assert_int_equal(c.llama.head_dim, 6);
  assert_int_equal(c.llama.max_position_embeddings, 77);
  assert_true(c.llama.rms_norm_eps == 1e-5);
  assert_true(c.llama.rope_theta == 1e6);
  assert_true(c.tie_word_embeddings && c.attention_bias && c.mlp_bias);
  assert_int_equal(c.bos_token_id, 1);
  assert_int_equal(c.eos_token_id, 7);
}

static void test_null_is_absent(void **state) {
  const lrp_config c =
      accepted(LLAMA(", \"num_key_value_heads\": null, \"head_dim\": null, \"rope_theta\": null,"
                     "\"rms_norm_eps\": null, \"hidden_act\": null, \"attention_bias\": null,"
                     "\"bos_token_id\": null, \"eos_token_id\": []"));
  (void)state;
  assert_int_equal(c.llama.num_key_value_heads, 8);
  assert_int_equal(c.llama.head_dim, 8);
  assert_true(c.llama.rope_theta == 10000.0);
  assert_int_equal(c.bos_token_id, -1);
  assert_int_equal(c.eos_token_id, -1);
}

static void test_files(void **state) {
  lrp_config c;
  (void)state;
  assert_failure(lrp_config_read(temp_path("none"), &c), LRP_ERR_ABSENT, "none: cannot open");
  unlink(temp_path("config.json"));
  assert_failure(lrp_config_read(temp_dir, &c), LRP_ERR_ABSENT, "config.json: cannot open");
  assert_failure(lrp_config_read(temp_text("plain", "x"), &c), LRP_ERR_ABSENT,
                 "plain: not a directory");
}

static void test_json(void **state) {
  (void)state;
  assert_refused("", "not valid JSON");
  assert_refused("{", "config.json:1: not valid JSON");
  assert_refused("[1]", "not a JSON object");
  assert_refused(LLAMA("") "x", "not valid JSON");
  assert_refused(LLAMA(", \"hidden_size\": 64"), "duplicate");
  assert_refused(LLAMA(", \"rope_theta\": 1e400"), "not valid JSON");
  assert_refused(LLAMA(", \"x\": NaN"), "not valid JSON");
}

static void test_architectures(void **state) {
  static const char supported[] =
      "(supported: LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM, BertModel, "
      "BertForSequenceClassification, BertForQuestionAnswering, BertForMaskedLM)";
  (void)state;
  assert_refused("{\"architectures\": [\"GPT2LMHeadModel\"]}",
                 "config.json: architectures[0]: GPT2LMHeadModel is not supported (supported: ");
  assert_refused("{}", supported);
  assert_refused("{\"architectures\": []}", supported);
  assert_refused("{\"architectures\": null}", supported);
  assert_refused("{\"architectures\": [3]}", supported);
  assert_refused("{\"architectures\": \"LlamaForCausalLM\"}", "architectures[0]: no name");
  assert_refused("{\"architectures\": [\"LlamaForCausalLMx\"]}", "LlamaForCausalLMx is not");
}

/* LLAMA without key. */
static void assert_key_needed(const char *key) {
  char text[512], part[128];
  char *at;
  snprintf(text, sizeof text, "%s", LLAMA(""));
  snprintf(part, sizeof part, "\"%s\"", key);
  at = strstr(text, part);
  assert_non_null(at);
  at[1] = '_';
  snprintf(part, sizeof part, "config.json: key %s is missing", key);
  assert_refused(text, part);
}

static void test_missing_keys(void **state) {
  (void)state;
  assert_key_needed("hidden_size");
  assert_key_needed("intermediate_size");
  assert_key_needed("num_hidden_layers");
  assert_key_needed("num_attention_heads");
  assert_key_needed("vocab_size");
}

/* A whole file of one key changed: no duplicates. */
static char *with(const char *key, const char *value) {
  static const struct {
    const char *key, *value;
  } base[] = {{"architectures", "[\"LlamaForCausalLM\"]"},
              {"hidden_size", "64"},
              {"intermediate_size", "172"},
              {"num_hidden_layers", "5"},
              {"num_attention_heads", "8"},
              {"vocab_size", "512"}};
  static char text[1024];
  size_t n = (size_t)snprintf(text, sizeof text, "{\"%s\": %s", key, value);
  for (size_t i = 0; i < sizeof base / sizeof *base; i++) {
    if (strcmp(base[i].key, key) == 0) continue;
    n += (size_t)snprintf(text + n, sizeof text - n, ", \"%s\": %s", base[i].key, base[i].value);
  }
  snprintf(text + n, sizeof text - n, "}");
  return text;
}

static void test_sizes(void **state) {
  (void)state;
  assert_refused(with("hidden_size", "0"),
                 "config.json: hidden_size: expected an integer in 1 .. 16777216, got 0");
  assert_refused(with("hidden_size", "-64"), "hidden_size: expected an integer");
  assert_refused(with("hidden_size", "64.0"), "hidden_size: expected an integer");
  assert_refused(with("hidden_size", "\"64\""), "hidden_size: expected an integer");
  assert_refused(with("hidden_size", "16777217"), "got 16777217");
  assert_int_equal(accepted(with("hidden_size", "16777216")).llama.hidden_size, 1 << 24);
  assert_refused(with("intermediate_size", "0"), "intermediate_size: ");
  assert_refused(with("intermediate_size", "[172]"), "intermediate_size: ");
  assert_refused(with("vocab_size", "16777217"), "vocab_size: ");
  assert_refused(with("num_hidden_layers", "0"), "num_hidden_layers: ");
  assert_refused(with("num_hidden_layers", "65537"), "num_hidden_layers: ");
  assert_int_equal(accepted(with("num_hidden_layers", "65536")).llama.num_hidden_layers, 65536);
  assert_refused(with("max_position_embeddings", "0"), "max_position_embeddings: ");
  /* Each in its range, all together more than memory can address. */
  assert_refused(
      "{\"architectures\": [\"LlamaForCausalLM\"], \"hidden_size\": 16777216,"
      "\"intermediate_size\": 16777216, \"num_hidden_layers\": 65536,"
      "\"num_attention_heads\": 8, \"vocab_size\": 512}",
      "num_hidden_layers: 65536 layers of ");
}

static void test_heads(void **state) {
  (void)state;
  assert_refused(with("num_attention_heads", "7"),
                 "num_attention_heads: 7 does not divide hidden_size 64");
  assert_refused(with("num_attention_heads", "0"), "num_attention_heads: ");
  assert_refused(with("num_attention_heads", "64"), "head_dim: 1 must be even");
  assert_refused(with("num_key_value_heads", "3"),
                 "num_key_value_heads: 3 does not divide num_attention_heads 8");
  assert_refused(with("num_key_value_heads", "16"), "num_key_value_heads: 16 does not divide");
  assert_refused(with("num_key_value_heads", "0"), "num_key_value_heads: ");
  assert_refused(with("head_dim", "7"), "head_dim: 7 must be even");
  assert_refused(with("head_dim", "0"), "head_dim: ");
  assert_refused(with("head_dim", "2097154"), "head_dim: 2097154 must be even, and ");
  assert_int_equal(accepted(with("head_dim", "2097152")).llama.head_dim, 2097152);
  /* An own head_dim need not fit to hidden_size. */
  assert_int_equal(accepted(LLAMA(", \"num_key_value_heads\": 4, \"head_dim\": 10")).llama.head_dim,
                   10);
}

static void test_numbers(void **state) {
  (void)state;
  assert_refused(with("rms_norm_eps", "-1e-5"), "rms_norm_eps: expected a number > 0, got -1");
  assert_refused(with("rms_norm_eps", "\"1e-5\""), "rms_norm_eps: expected a number > 0");
  assert_refused(with("rope_theta", "0"), "rope_theta: expected a number > 0, got 0");
  assert_refused(with("tie_word_embeddings", "1"), "tie_word_embeddings: expected true or false");
  assert_refused(with("attention_bias", "\"no\""), "attention_bias: expected true or false");
  assert_refused(with("bos_token_id", "512"), "bos_token_id: ");
  assert_refused(with("bos_token_id", "\"1\""), "bos_token_id: ");
  assert_refused(with("eos_token_id", "[1.5]"), "eos_token_id: ");
  assert_int_equal(accepted(with("eos_token_id", "511")).eos_token_id, 511);
  assert_int_equal(accepted(with("eos_token_id", "-1")).eos_token_id, -1);
}

static void test_options(void **state) {
  (void)state;
  assert_refused(with("hidden_act", "\"gelu\""), "hidden_act: expected \"silu\"");
  assert_refused(with("hidden_act", "\"gelu\""), "got \"gelu\"");
  assert_refused(with("use_sliding_window", "true"), "use_sliding_window: expected false");
  (void)accepted(with("use_sliding_window", "false"));
}

static lrp_rope_scaling scaling_of(const char *key, const char *value) {
  return accepted(with(key, value)).llama.rope_scaling;
}

static void test_rope_linear(void **state) {
  lrp_rope_scaling s = scaling_of("rope_scaling", "{\"type\": \"linear\", \"factor\": 2.5}");
  (void)state;
  assert_true(s.type == LRP_ROPE_LINEAR && s.factor == 2.5);
  /* Both names of the type: the newer counts. */
  s = scaling_of("rope_scaling", "{\"type\": \"yarn\", \"rope_type\": \"linear\", \"factor\": 4}");
  assert_true(s.type == LRP_ROPE_LINEAR && s.factor == 4.0);
  s = scaling_of("rope_parameters",
                 "{\"rope_type\": \"linear\", \"factor\": 3.0, \"rope_theta\": 7.0}");
  assert_true(s.type == LRP_ROPE_LINEAR && s.factor == 3.0);
  assert_refused(with("rope_scaling", "{\"type\": \"linear\"}"),
                 "config.json: key rope_scaling.factor is missing");
  assert_refused(with("rope_scaling", "{\"type\": \"linear\", \"factor\": \"2\"}"),
                 "config.json: rope_scaling.factor: expected a number > 0, got \"2\"");
  assert_refused(with("rope_scaling", "{\"type\": \"linear\", \"factor\": 0}"),
                 "rope_scaling.factor: expected a number > 0, got 0");
}

/* A llama3 object without the part that begins with from and is length long, if any. */
static const char *llama3_object(const char *from, size_t length) {
  static const char whole[] =
      "{\"rope_type\": \"llama3\", \"factor\": 8.0, \"low_freq_factor\": 1.0, "
      "\"high_freq_factor\": 4.0, \"original_max_position_embeddings\": 8192}";
  static char text[sizeof whole];
  const char *at = from ? strstr(whole, from) : whole + sizeof whole - 1;
  assert_non_null(at);
  snprintf(text, sizeof text, "%.*s%s", (int)(at - whole), whole, at + (from ? length : 0));
  return text;
}

static void test_rope_llama3(void **state) {
  const char *keys[] = {"rope_scaling", "rope_parameters"};
  (void)state;
  for (int i = 0; i < 2; i++) {
    const lrp_rope_scaling s = scaling_of(keys[i], llama3_object(NULL, 0));
    assert_true(s.type == LRP_ROPE_LLAMA3 && s.factor == 8.0);
    assert_true(s.low_freq_factor == 1.0 && s.high_freq_factor == 4.0);
    assert_true(s.original_max_position_embeddings == 8192.0);
  }
  assert_refused(with("rope_scaling", llama3_object("\"factor\": 8.0, ", 15)),
                 "key rope_scaling.factor is missing");
  assert_refused(with("rope_scaling", llama3_object("\"low_freq_factor\": 1.0, ", 24)),
                 "key rope_scaling.low_freq_factor is missing");
  assert_refused(with("rope_parameters", llama3_object("\"high_freq_factor\": 4.0, ", 25)),
                 "key rope_parameters.high_freq_factor is missing");
  assert_refused(
      with("rope_scaling", llama3_object(", \"original_max_position_embeddings\": 8192", 42)),
      "key rope_scaling.original_max_position_embeddings is missing");
  assert_refused(with("rope_scaling",
                      "{\"rope_type\": \"llama3\", \"factor\": 8.0, \"low_freq_factor\": 4.0, "
                      "\"high_freq_factor\": 4.0, \"original_max_position_embeddings\": 8192}"),
                 "rope_scaling: low_freq_factor 4 must be below high_freq_factor 4");
}

static void test_rope_other(void **state) {
  static const char *const unknown[] = {"dynamic", "yarn", "longrope", "Linear", ""};
  (void)state;
  for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
    char object[64], part[128];
    snprintf(object, sizeof object, "{\"rope_type\": \"%s\", \"factor\": 2.0}", unknown[i]);
    snprintf(part, sizeof part,
             "config.json: rope_scaling: %s is not supported (supported: default, linear, llama3)",
             unknown[i]);
    assert_refused(with("rope_scaling", object), part);
  }
  assert_refused(with("rope_scaling", "{\"factor\": 8.0}"), "rope_scaling: the scaling has no");
  assert_refused(with("rope_scaling", "{\"rope_type\": 3}"), "rope_scaling: the scaling has no");
  assert_refused(with("rope_scaling", "2.0"), "rope_scaling: expected an object");
  assert_int_equal(scaling_of("rope_scaling", "{\"rope_type\": \"default\"}").type,
                   LRP_ROPE_DEFAULT);
  assert_refused(with("partial_rotary_factor", "0.5"), "partial_rotary_factor: expected 1");
  assert_refused(with("rope_parameters", "{\"partial_rotary_factor\": 0.5}"),
                 "partial_rotary_factor: expected 1");
  (void)accepted(with("partial_rotary_factor", "1.0"));
  /* Both objects: the same, or refused. */
  assert_int_equal(accepted(LLAMA(", \"rope_scaling\": {\"type\": \"linear\", \"factor\": 2},"
                                  "\"rope_parameters\": {\"rope_type\": \"linear\","
                                  "\"factor\": 2.0, \"rope_theta\": 5.0}"))
                       .llama.rope_scaling.type,
                   LRP_ROPE_LINEAR);
  assert_refused(LLAMA(", \"rope_scaling\": {\"type\": \"linear\", \"factor\": 2},"
                       "\"rope_parameters\": {\"rope_theta\": 5.0}"),
                 "rope_scaling and rope_parameters contradict each other");
}

static void test_rope_theta(void **state) {
  (void)state;
  assert_refused(with("rope_parameters", "{\"rope_type\": \"yarn\", \"rope_theta\": 5.0}"),
                 "rope_parameters: yarn is not supported");
  assert_refused(with("rope_parameters", "{\"rope_theta\": \"x\"}"), "rope_theta: ");
  assert_true(accepted(with("rope_parameters", "{\"rope_theta\": 500000.0}")).llama.rope_theta ==
              500000.0);
  assert_true(accepted(LLAMA(", \"rope_theta\": 3.0, \"rope_parameters\": "
                             "{\"rope_type\": \"default\", \"rope_theta\": 4.0}"))
                  .llama.rope_theta == 4.0);
}

static void test_mistral(void **state) {
  lrp_config c = accepted(MISTRAL(", \"sliding_window\": null"));
  (void)state;

  assert_string_equal(c.architecture, "MistralForCausalLM");
  assert_int_equal(c.llama.max_position_embeddings, 131072);
  assert_int_equal(c.llama.num_key_value_heads, 8);
  assert_int_equal(c.llama.sliding_window, 0);
  c = accepted(MISTRAL(", \"sliding_window\": 100, \"max_position_embeddings\": 500"));
  assert_int_equal(c.llama.max_position_embeddings, 500);
  assert_int_equal(c.llama.sliding_window, 100);
  /* Absent means 4096 there. */
  assert_int_equal(accepted(MISTRAL("")).llama.sliding_window, 4096);
  assert_int_equal(accepted(LLAMA(", \"sliding_window\": 100")).llama.sliding_window, 0);
  assert_refused(MISTRAL(", \"sliding_window\": 0"), "sliding_window: ");
  /* The family has no biases, whatever the file says. */
  assert_false(
      accepted(MISTRAL(", \"sliding_window\": null, \"attention_bias\": true")).attention_bias);
}

static void test_qwen2(void **state) {
  const lrp_config c = accepted(QWEN2(", \"sliding_window\": 100"));
  const int64_t biases = 5 * (64 + 32 + 32);
  (void)state;
  assert_int_equal(c.llama.sliding_window, 0);
  assert_int_equal(c.llama.max_position_embeddings, 32768);
  assert_true(lrp_config_has_bias(&c, LRP_Q_PROJ) && lrp_config_has_bias(&c, LRP_V_PROJ));
  assert_false(lrp_config_has_bias(&c, LRP_O_PROJ) || lrp_config_has_bias(&c, LRP_DOWN_PROJ));
  assert_int_equal(lrp_config_parameters(&c),
                   lrp_config_parameters(&(lrp_config){.llama = c.llama}) + biases);
}

static void test_tensors(void **state) {
  static const struct {
    const char *name, *path;
    int64_t m, n;
  } expected[] = {{"q_proj", "model.layers.31.self_attn.q_proj.weight", 48, 64},
                  {"k_proj", "model.layers.31.self_attn.k_proj.weight", 12, 64},
                  {"v_proj", "model.layers.31.self_attn.v_proj.weight", 12, 64},
                  {"o_proj", "model.layers.31.self_attn.o_proj.weight", 64, 48},
                  {"gate_proj", "model.layers.31.mlp.gate_proj.weight", 172, 64},
                  {"up_proj", "model.layers.31.mlp.up_proj.weight", 172, 64},
                  {"down_proj", "model.layers.31.mlp.down_proj.weight", 64, 172}};
  const lrp_config c = accepted(LLAMA(", \"num_key_value_heads\": 2, \"head_dim\": 6"));
  char path[96], small[8];
  (void)state;

  assert_int_equal(lrp_config_layer_tensors(&c), 7);
  for (int t = 0; t < 7; t++) {
    int64_t m, n;
    assert_string_equal(lrp_config_tensor_name(&c, t), expected[t].name);
    lrp_config_tensor_path(&c, 31, t, path, sizeof path);
    assert_string_equal(path, expected[t].path);
    lrp_config_tensor_shape(&c, t, &m, &n);
    assert_int_equal(m, expected[t].m);
    assert_int_equal(n, expected[t].n);
  }
  lrp_config_tensor_path(&c, 0, 0, small, sizeof small);
  assert_string_equal(small, "model.l");
}

#define LLAMA2_7B                                                                           \
  "{\"architectures\": [\"LlamaForCausalLM\"], \"hidden_size\": 4096, "                     \
  "\"intermediate_size\": 11008, \"num_hidden_layers\": 32, \"num_attention_heads\": 32, "  \
  "\"num_key_value_heads\": 32, \"vocab_size\": 32000, \"max_position_embeddings\": 4096, " \
  "\"rope_scaling\": null, \"tie_word_embeddings\": false, \"bos_token_id\": 1, "           \
  "\"eos_token_id\": 2}"

static void test_parameters(void **state) {
  const int64_t stories = 260032;
  (void)state;

  lrp_config c = accepted(LLAMA2_7B);
  assert_int_equal(lrp_config_parameters(&c), 6738415616);
  /* Without the embedding and 65 norms. */
  assert_int_equal(lrp_config_linear_parameters(&c), 6738415616 - 32000 * 4096 - 65 * 4096);

  c = accepted(LLAMA(", \"num_key_value_heads\": 4, \"tie_word_embeddings\": true"));
  assert_int_equal(lrp_config_parameters(&c), stories);
  assert_int_equal(lrp_config_linear_parameters(&c), stories - 11 * 64);
  c = accepted(LLAMA(", \"num_key_value_heads\": 4"));
  assert_int_equal(lrp_config_parameters(&c), stories + 512 * 64);
  assert_int_equal(lrp_config_linear_parameters(&c), stories - 11 * 64);

  c =
      accepted(LLAMA(", \"num_key_value_heads\": 4, \"tie_word_embeddings\": true,"
                     "\"attention_bias\": true"));
  assert_true(lrp_config_has_bias(&c, LRP_O_PROJ));
  assert_false(lrp_config_has_bias(&c, LRP_GATE_PROJ));
  assert_int_equal(lrp_config_parameters(&c), stories + 5 * (64 + 32 + 32 + 64));
  assert_int_equal(lrp_config_linear_parameters(&c), stories - 11 * 64);
  c =
      accepted(LLAMA(", \"num_key_value_heads\": 4, \"tie_word_embeddings\": true,"
                     "\"mlp_bias\": true"));
  assert_false(lrp_config_has_bias(&c, LRP_O_PROJ));
  assert_true(lrp_config_has_bias(&c, LRP_DOWN_PROJ));
  assert_int_equal(lrp_config_parameters(&c), stories + 5 * (172 + 172 + 64));
}

/* Percentages of all parameters that the paper's configurations remove: rank 1, Tucker, so that
 * m n becomes m + n + 1. */
static double removed_percent(const lrp_config *c, int first, int last, int layers) {
  int64_t removed = 0;
  for (int t = first; t <= last; t++) {
    int64_t m, n;
    lrp_config_tensor_shape(c, t, &m, &n);
    removed += layers * (m * n - (m + n + 1));
  }
  return 100.0 * (double)removed / (double)lrp_config_parameters(c);
}

static void assert_near(double got, double expected, double tolerance) {
  if (got < expected - tolerance || got > expected + tolerance) {
    fail_msg("%.8f is not %.8f", got, expected);
  }
}

static void test_paper_reductions(void **state) {
  /* The ten layer lists of the accuracy study: how many layers, and the printed percentage. */
  static const struct {
    int layers;
    double percent;
  } printed[] = {{2, 6.004292181671211},   {3, 9.006438272506823},  {5, 15.010730454178034},
                 {7, 21.015022635849245},  {11, 33.02360699919167}, {16, 48.03433745336969},
                 {20, 60.042921816712116}, {25, 75.05365227089014}, {28, 84.06009054339695},
                 {32, 96.06867490673937}};
  const lrp_config c = accepted(LLAMA2_7B);
  (void)state;

  for (size_t i = 0; i < sizeof printed / sizeof *printed; i++) {
    assert_near(removed_percent(&c, LRP_Q_PROJ, LRP_DOWN_PROJ, printed[i].layers),
                printed[i].percent, 1e-9);
  }
  assert_near(removed_percent(&c, LRP_Q_PROJ, LRP_DOWN_PROJ, 1), 3.00215, 5e-6);
  assert_near(removed_percent(&c, LRP_Q_PROJ, LRP_Q_PROJ, 32), 7.963, 5e-4);
  assert_near(removed_percent(&c, LRP_UP_PROJ, LRP_UP_PROJ, 32), 21.405, 5e-4);
  assert_near(removed_percent(&c, LRP_Q_PROJ, LRP_O_PROJ, 1), 0.995, 5e-4);
  assert_near(removed_percent(&c, LRP_GATE_PROJ, LRP_DOWN_PROJ, 1), 2.007, 5e-4);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_defaults),       cmocka_unit_test(test_all_keys),
      cmocka_unit_test(test_null_is_absent), cmocka_unit_test(test_files),
      cmocka_unit_test(test_json),           cmocka_unit_test(test_architectures),
      cmocka_unit_test(test_missing_keys),   cmocka_unit_test(test_sizes),
      cmocka_unit_test(test_heads),          cmocka_unit_test(test_numbers),
      cmocka_unit_test(test_options),        cmocka_unit_test(test_rope_linear),
      cmocka_unit_test(test_rope_llama3),    cmocka_unit_test(test_rope_other),
      cmocka_unit_test(test_rope_theta),     cmocka_unit_test(test_mistral),
      cmocka_unit_test(test_qwen2),          cmocka_unit_test(test_tensors),
      cmocka_unit_test(test_parameters),     cmocka_unit_test(test_paper_reductions),
  };
  return cmocka_run_group_tests(tests, temp_setup, temp_teardown);
}
