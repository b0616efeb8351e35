#include "tests/tools/synth_options.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/matrix.h"

/* Upper limits keep every product of two sizes below 2^48 and a row of a matrix below 4 MiB. */
enum { max_width = 1 << 20, max_layers = 4096, max_vocab = 500000, max_shards = 99999 };

static const char *const arch_names[] = {"llama", "bert", NULL};
static const char *const head_names[] = {"classifier", "answers", "masked", "none", NULL};
static const char *const dtype_names[] = {"float32", "float16", "bfloat16", NULL};
static const char *const rope_names[] = {"none", "linear", "llama3", NULL};

typedef enum { VALUE_FLAG, VALUE_INTEGER, VALUE_REAL, VALUE_TEXT, VALUE_CHOICE } value_type;

typedef struct {
  const char *name, *argument, *help;
  value_type type;
  size_t offset; /* of the member in lrp_synth_options */
  int64_t min, max;
  const char *const *choices; /* index = value */
} option;

#define AT(member) offsetof(lrp_synth_options, member)
static const option options[] = {
    {"arch", "llama|bert", "model family [llama]", VALUE_CHOICE, AT(arch), 0, 0, arch_names},
    {"hidden", "N", "hidden size [64]", VALUE_INTEGER, AT(hidden), 1, max_width, NULL},
    {"intermediate", "N", "width of the MLP [172]", VALUE_INTEGER, AT(intermediate), 1, max_width,
     NULL},
    {"layers", "N", "number of layers [4]", VALUE_INTEGER, AT(layers), 1, max_layers, NULL},
    {"heads", "N", "attention heads [4]", VALUE_INTEGER, AT(heads), 1, 65536, NULL},
    {"kv-heads", "N", "key-value heads, llama [as heads]", VALUE_INTEGER, AT(kv_heads), 1, 65536,
     NULL},
    {"head-dim", "N", "width of a head, llama [hidden / heads]", VALUE_INTEGER, AT(head_dim), 1,
     65536, NULL},
    {"vocab", "N", "vocabulary size [512]", VALUE_INTEGER, AT(vocab), 1, max_vocab, NULL},
    {"max-position", "N", "longest input [512]", VALUE_INTEGER, AT(max_position), 1, 1 << 24, NULL},
    {"dtype", "TYPE", "float32, float16 or bfloat16 [float32]", VALUE_CHOICE, AT(dtype), 0, 0,
     dtype_names},
    {"head", "KIND", "classifier, answers, masked or none, bert [classifier]", VALUE_CHOICE,
     AT(head), 0, 0, head_names},
    {"shards", "N", "number of weight files [1]", VALUE_INTEGER, AT(shards), 1, max_shards, NULL},
    {"tied", NULL, "the head is the embedding, llama", VALUE_FLAG, AT(tied), 0, 0, NULL},
    {"attention-bias", NULL, "biases on q, k, v and o, llama", VALUE_FLAG, AT(attention_bias), 0, 0,
     NULL},
    {"rope-theta", "X", "base of the rotary frequencies, llama [10000]", VALUE_REAL, AT(rope_theta),
     0, 0, NULL},
    {"rope-scaling", "KIND", "none, linear or llama3 [none]", VALUE_CHOICE, AT(rope_scaling), 0, 0,
     rope_names},
    {"seed", "N", "seed of all randomness [1]", VALUE_INTEGER, AT(seed), 0, INT64_MAX, NULL},
    {"tokenizer", "DIR", "copy the tokenizer from DIR instead of making one", VALUE_TEXT,
     AT(tokenizer), 0, 0, NULL},
    {"outliers", "N", "singular values far above the others, per matrix [2]", VALUE_INTEGER,
     AT(outliers), 0, 64, NULL},
    {"help", NULL, "print this and stop", VALUE_FLAG, AT(help), 0, 0, NULL},
};
#undef AT
enum { n_options = sizeof options / sizeof options[0] };

void lrp_synth_options_help(FILE *stream) {
  fputs(
      "usage: synth_model OUT [options]\n"
      "Write a Hugging Face model directory of random weights and a tokenizer to OUT, which is\n"
      "absent or empty.\n\n",
      stream);
  for (int i = 0; i < n_options; i++) {
    char left[64];
    snprintf(left, sizeof left, "--%s %s", options[i].name,
             options[i].argument ? options[i].argument : "");
    fprintf(stream, "  %-24s %s\n", left, options[i].help);
  }
}

/* The option called name (length characters), or NULL. */
static const option *find_option(const char *name, size_t length) {
  for (int i = 0; i < n_options; i++) {
    if (strlen(options[i].name) == length && memcmp(options[i].name, name, length) == 0) {
      return &options[i];
    }
  }
  return NULL;
}

static lrp_status parse_integer(const option *o, const char *text, int64_t *value) {
  char *end;
  errno = 0;
  const long long v = strtoll(text, &end, 10);
  if (end == text || *end || errno || v < o->min || v > o->max) {
    return lrp_fail(LRP_ERR_USAGE, "--%s: '%s' is not an integer from %lld to %lld", o->name, text,
                    (long long)o->min, (long long)o->max);
  }
  *value = v;
  return LRP_OK;
}

static lrp_status parse_real(const option *o, const char *text, double *value) {
  char *end;
  const double v = strtod(text, &end);
  if (end == text || *end || !isfinite(v) || v <= 0.0) {
    return lrp_fail(LRP_ERR_USAGE, "--%s: '%s' is not a number above 0", o->name, text);
  }
  *value = v;
  return LRP_OK;
}

static lrp_status parse_choice(const option *o, const char *text, int64_t *value) {
  for (int i = 0; o->choices[i]; i++) {
    if (strcmp(o->choices[i], text) == 0) {
      *value = i;
      return LRP_OK;
    }
  }
  return lrp_fail(LRP_ERR_USAGE, "--%s: '%s' is not known, see synth_model --help", o->name, text);
}

static lrp_status set_value(const option *o, const char *text, lrp_synth_options *out) {
  void *member = (char *)out + o->offset;
  switch (o->type) {
    case VALUE_FLAG:
      *(bool *)member = true;
      return LRP_OK;
    case VALUE_INTEGER:
      return parse_integer(o, text, member);
    case VALUE_REAL:
      return parse_real(o, text, member);
    case VALUE_CHOICE:
      return parse_choice(o, text, member);
    case VALUE_TEXT:
      *(const char **)member = text;
      return LRP_OK;
  }
  return LRP_ERR_BUG;
}

/* argv[*i] is "--name", "--name value" or "--name=value"; *i is left at the last word used. */
static lrp_status parse_option(int argc, char **argv, int *i, lrp_synth_options *out) {
  const char *name = argv[*i] + 2;
  const size_t length = strcspn(name, "=");
  const option *o = find_option(name, length);
  const char *value = name[length] == '=' ? name + length + 1 : NULL;

  if (!o) {
    return lrp_fail(LRP_ERR_USAGE, "unknown option '%s', see synth_model --help", argv[*i]);
  }
  if (o->type == VALUE_FLAG && value) {
    return lrp_fail(LRP_ERR_USAGE, "--%s takes no value, remove '=%s'", o->name, value);
  }
  if (o->type != VALUE_FLAG && !value) {
    if (*i + 1 == argc) return lrp_fail(LRP_ERR_USAGE, "--%s: the value is missing", o->name);
    value = argv[++*i];
  }
  return set_value(o, value, out);
}

static lrp_status check_llama(lrp_synth_options *o) {
  if (o->head != LRP_SYNTH_CLASSIFIER) {
    return lrp_fail(LRP_ERR_USAGE, "--head is for --arch bert only");
  }
  if (o->kv_heads == 0) o->kv_heads = o->heads;
  if (o->head_dim == 0 && o->hidden % o->heads != 0) {
    return lrp_fail(LRP_ERR_USAGE,
                    "--heads: %lld does not divide the hidden size %lld; give --head-dim, too",
                    (long long)o->heads, (long long)o->hidden);
  }
  if (o->head_dim == 0) o->head_dim = o->hidden / o->heads;
  if (o->heads % o->kv_heads != 0) {
    return lrp_fail(LRP_ERR_USAGE, "--kv-heads: %lld does not divide the %lld heads",
                    (long long)o->kv_heads, (long long)o->heads);
  }
  if (o->head_dim % 2 != 0) {
    return lrp_fail(LRP_ERR_USAGE, "width of a head: %lld is odd; rotary embeddings need pairs",
                    (long long)o->head_dim);
  }
  if (o->heads * o->head_dim > max_width) {
    return lrp_fail(LRP_ERR_USAGE, "--head-dim: %lld heads of width %lld exceed %d in all",
                    (long long)o->heads, (long long)o->head_dim, max_width);
  }
  return LRP_OK;
}

static lrp_status check_bert(lrp_synth_options *o) {
  if (o->kv_heads || o->head_dim || o->tied || o->attention_bias ||
      o->rope_scaling != LRP_SYNTH_ROPE_NONE || o->rope_theta > 0.0) {
    return lrp_fail(LRP_ERR_USAGE,
                    "--kv-heads, --head-dim, --tied, --attention-bias and --rope-... are for "
                    "--arch llama only");
  }
  if (o->hidden % o->heads != 0) {
    return lrp_fail(LRP_ERR_USAGE, "--heads: %lld does not divide the hidden size %lld",
                    (long long)o->heads, (long long)o->hidden);
  }
  o->kv_heads = o->heads;
  o->head_dim = o->hidden / o->heads;
  return LRP_OK;
}

lrp_status lrp_synth_options_parse(int argc, char **argv, lrp_synth_options *out) {
  *out = (lrp_synth_options){.hidden = 64,
                             .intermediate = 172,
                             .layers = 4,
                             .heads = 4,
                             .vocab = 512,
                             .max_position = 512,
                             .shards = 1,
                             .seed = 1,
                             .outliers = 2};
  lrp_status st = LRP_OK;

  for (int i = 1; st == LRP_OK && i < argc && !out->help; i++) {
    if (strncmp(argv[i], "--", 2) == 0) {
      st = parse_option(argc, argv, &i, out);
    } else if (out->out) {
      st = lrp_fail(LRP_ERR_USAGE, "unexpected argument '%s': the output is '%s' already", argv[i],
                    out->out);
    } else {
      out->out = argv[i];
    }
  }
  if (st != LRP_OK || out->help) return st;
  if (!out->out || !*out->out) {
    return lrp_fail(LRP_ERR_USAGE, "the output directory is missing, see synth_model --help");
  }
  st = out->arch == LRP_SYNTH_BERT ? check_bert(out) : check_llama(out);
  if (!(out->rope_theta > 0.0)) out->rope_theta = 10000.0;
  return st;
}
