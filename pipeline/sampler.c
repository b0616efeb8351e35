#include "pipeline/sampler.h"

#include <math.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/big.h"

/* Configurations that differ in their layers only. */
typedef struct {
  unsigned tensors;
  int row;
  int64_t saved;   /* parameters, per layer */
  int least, most; /* layers that pass the filter */
  BIGNUM *end;     /* owned: configurations up to here, this class included */
} group;

struct lrp_sampler {
  lrp_space_filter filter;
  lrp_rank_row *rows;      /* owned: the filter's, capped at min(m, n) */
  int n_layers, n_tensors; /* of the model */
  int64_t dense;           /* parameters of the model */
  int free_layers;         /* that may be chosen */
  int most_layers;         /* of them at once */
  BIGNUM **within;         /* owned, most_layers + 1: choices of 1 .. k layers */
  group *classes;          /* owned, n_classes that are not empty */
  int n_classes;
  BIGNUM *total;                /* owned: of all classes */
  char *count;                  /* owned: the same in digits */
  double log2;                  /* of it */
  BIGNUM *next;                 /* owned: the number that lrp_sampler_next takes */
  BIGNUM *index, *block, *take; /* owned: work space */
  int *layers;                  /* owned, most_layers + 1: of the last pick */
  uint64_t random;              /* state */
  unsigned char *bytes;         /* owned: random ones, as many as total has */
  void *drawn;                  /* owned: a tree (tsearch) of numbers */
  uint64_t n_drawn;
};

lrp_rank_row lrp_rank_row_of(const lrp_config *config, int rank) {
  lrp_rank_row row = {{0}};
  for (int t = 0; t < lrp_config_layer_tensors(config); t++) {
    int64_t m, n;
    lrp_config_tensor_shape(config, t, &m, &n);
    if (n < m) m = n;
    row.rank[t] = rank < m ? rank : (int)m;
  }
  return row;
}

lrp_space_filter lrp_space_everything(const lrp_config *config, int rank, lrp_rank_row *row) {
  *row = lrp_rank_row_of(config, rank);
  return (lrp_space_filter){.method = LRP_TUCKER,
                            .distance = 1,
                            .least = -INFINITY,
                            .most = INFINITY,
                            .tensors = (1u << lrp_config_layer_tensors(config)) - 1u,
                            .subsets = true,
                            .rows = row,
                            .n_rows = 1};
}

/* ---- classes ---- */

static double reduction(const lrp_sampler *s, int64_t parameters) {
  return 100.0 * (1.0 - (double)parameters / (double)s->dense);
}

static bool passes(const lrp_sampler *s, int64_t saved, int layers) {
  const double percent = reduction(s, s->dense - saved * layers);
  return percent >= s->filter.least && percent <= s->filter.most;
}

/* Parameters that a layer loses. */
static int64_t saved_by(const lrp_sampler *s, const lrp_config *config, unsigned tensors, int row) {
  int64_t saved = 0;
  for (int t = 0; t < s->n_tensors; t++) {
    int64_t m, n;
    if (!(tensors >> t & 1u)) continue;
    lrp_config_tensor_shape(config, t, &m, &n);
    saved += m * n - lrp_factor_parameters(s->filter.method, m, n, s->rows[row].rank[t]);
  }
  return saved;
}

/* Whether a row before this one has the same ranks for these tensors. */
static bool is_repeated(const lrp_sampler *s, unsigned tensors, int row) {
  for (int before = 0; before < row; before++) {
    bool same = true;
    for (int t = 0; t < s->n_tensors; t++) {
      if (tensors >> t & 1u) same = same && s->rows[before].rank[t] == s->rows[row].rank[t];
    }
    if (same) return true;
  }
  return false;
}

/* The reduction is monotonic in the number of layers, so what passes is an interval. */
static lrp_status add_class(lrp_sampler *s, const lrp_config *config, unsigned tensors, int row) {
  group c = {.tensors = tensors, .row = row, .saved = saved_by(s, config, tensors, row)};

  if (is_repeated(s, tensors, row)) return LRP_OK;
  for (int k = 1; k <= s->most_layers; k++) {
    if (!passes(s, c.saved, k)) continue;
    if (c.least == 0) c.least = k;
    c.most = k;
  }
  if (c.least == 0) return LRP_OK;
  c.end = BN_new();
  if (!c.end) return lrp_big_fail();
  s->classes[s->n_classes++] = c;
  const bool added = BN_sub(c.end, s->within[c.most], s->within[c.least - 1]) &&
                     BN_add(s->total, s->total, c.end) && BN_copy(c.end, s->total);
  return added ? LRP_OK : lrp_big_fail();
}

static lrp_status add_classes(lrp_sampler *s, const lrp_config *config) {
  const unsigned all = (1u << s->n_tensors) - 1u;
  const size_t most = (size_t)s->filter.n_rows * (s->filter.subsets ? all : 1u);
  lrp_status st = LRP_OK;

  s->classes = calloc(most, sizeof *s->classes);
  if (!s->classes) return lrp_fail_memory(most * sizeof *s->classes, "a design space");
  for (int row = 0; row < s->filter.n_rows; row++) {
    for (unsigned tensors = 1; st == LRP_OK && tensors <= all; tensors++) {
      const bool wanted =
          s->filter.subsets ? (tensors & ~s->filter.tensors) == 0 : tensors == s->filter.tensors;
      if (wanted) st = add_class(s, config, tensors, row);
    }
  }
  return st;
}

/* ---- layers ---- */

/* Layers at least d apart are k of n - (k - 1) (d - 1) places: the d - 1 places behind each but the
 * last are taken out. */
static bool count_layers(lrp_sampler *s) {
  const int gap = s->filter.distance - 1;
  int64_t n = s->free_layers;
  BIGNUM *choices = s->block; /* of k layers */
  bool done = BN_set_word(choices, (BN_ULONG)n);

  BN_zero(s->within[0]);
  for (int k = 1; done && k <= s->most_layers; k++) {
    done = BN_add(s->within[k], s->within[k - 1], choices) != 0;
    if (k == s->most_layers) break;
    done = done && lrp_big_scale(choices, n - k, k + 1); /* k + 1 of n */
    for (int i = 0; done && i < gap; i++, n--) done = lrp_big_scale(choices, n - (k + 1), n);
  }
  return done;
}

static lrp_status create_layers(lrp_sampler *s) {
  const size_t n = (size_t)s->most_layers + 1;

  s->within = calloc(n, sizeof *s->within);
  s->layers = calloc(n, sizeof *s->layers);
  if (!s->within || !s->layers) return lrp_fail_memory(n * sizeof *s->within, "a design space");
  for (size_t k = 0; k < n; k++) {
    s->within[k] = BN_new();
    if (!s->within[k]) return lrp_big_fail();
  }
  return count_layers(s) ? LRP_OK : lrp_big_fail();
}

/* ---- the sampler ---- */

static lrp_status create_numbers(lrp_sampler *s) {
  BIGNUM **const numbers[] = {&s->total, &s->next, &s->index, &s->block, &s->take};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    *numbers[i] = BN_new();
    if (!*numbers[i]) return lrp_big_fail();
  }
  return LRP_OK;
}

static lrp_status copy_rows(lrp_sampler *s, const lrp_config *config) {
  const size_t n = (size_t)s->filter.n_rows;
  s->rows = calloc(n, sizeof *s->rows);
  if (!s->rows) return lrp_fail_memory(n * sizeof *s->rows, "a design space");
  for (size_t i = 0; i < n; i++) {
    for (int t = 0; t < s->n_tensors; t++) {
      s->rows[i].rank[t] = lrp_rank_row_of(config, s->filter.rows[i].rank[t]).rank[t];
    }
  }
  s->filter.rows = s->rows;
  return LRP_OK;
}

static lrp_status finish_total(lrp_sampler *s) {
  lrp_status st = lrp_big_text(s->total, &s->count);
  if (st == LRP_OK) st = lrp_big_log2(s->total, &s->log2);
  s->bytes = st == LRP_OK ? malloc((size_t)BN_num_bytes(s->total) + sizeof(uint64_t)) : NULL;
  if (st == LRP_OK && !s->bytes) st = lrp_big_fail();
  return st;
}

lrp_status lrp_sampler_create(lrp_sampler **out, const lrp_config *config,
                              const lrp_space_filter *filter) {
  const int layers = lrp_config_layers(config);
  const int64_t kept = (int64_t)filter->keep_first + filter->keep_last;
  lrp_status st;

  *out = NULL;
  if (layers > LRP_SPACE_MAX_LAYERS) {
    return lrp_fail(LRP_ERR_JOB, "a design space of %d layers: at most %d can be counted", layers,
                    LRP_SPACE_MAX_LAYERS);
  }
  lrp_sampler *s = calloc(1, sizeof *s);
  if (!s) return lrp_fail_memory(sizeof *s, "a design space");
  s->filter = *filter;
  s->n_layers = layers;
  s->n_tensors = lrp_config_layer_tensors(config);
  s->dense = lrp_config_parameters(config);
  s->free_layers = kept < layers ? layers - (int)kept : 0;
  s->most_layers = s->free_layers > 0 ? (s->free_layers - 1) / filter->distance + 1 : 0;
  st = create_numbers(s);
  if (st == LRP_OK) st = copy_rows(s, config);
  if (st == LRP_OK) st = create_layers(s);
  if (st == LRP_OK) st = add_classes(s, config);
  if (st == LRP_OK) st = finish_total(s);
  if (st != LRP_OK) lrp_sampler_destroy(&s);
  *out = s;
  return st;
}

static void free_number(void *number) {
  BN_free(number);
}

void lrp_sampler_destroy(lrp_sampler **sampler) {
  lrp_sampler *s = *sampler;
  *sampler = NULL;
  if (!s) return;
  tdestroy(s->drawn, free_number);
  for (int i = 0; i < s->n_classes; i++) BN_free(s->classes[i].end);
  for (int k = 0; s->within && k <= s->most_layers; k++) BN_free(s->within[k]);
  BN_free(s->total);
  BN_free(s->next);
  BN_free(s->index);
  BN_free(s->block);
  BN_free(s->take);
  free(s->rows);
  free(s->within);
  free(s->classes);
  free(s->count);
  free(s->layers);
  free(s->bytes);
  free(s);
}

const char *lrp_sampler_count(const lrp_sampler *s) {
  return s->count;
}

double lrp_sampler_log2(const lrp_sampler *s) {
  return s->log2;
}

/* ---- from a number to a configuration ---- */

/* The class that holds number s->index, which becomes its number in there. */
static const group *find_class(lrp_sampler *s, bool *done) {
  int low = 0, high = s->n_classes - 1;

  while (low < high) {
    const int middle = low + (high - low) / 2;
    if (BN_cmp(s->index, s->classes[middle].end) < 0) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  if (low > 0) *done = *done && BN_sub(s->index, s->index, s->classes[low - 1].end);
  return &s->classes[low];
}

/* The number of layers of number s->index of a class, which becomes its number among those of as
 * many layers. */
static int find_size(lrp_sampler *s, const group *c, bool *done) {
  int k = c->least;
  *done = *done && BN_add(s->index, s->index, s->within[k - 1]);
  while (k < c->most && BN_cmp(s->index, s->within[k]) >= 0) k++;
  *done = *done && BN_sub(s->index, s->index, s->within[k - 1]);
  return k;
}

/* The choice number s->index of k layers in lexicographic order. block: choices of k of n places
 * that are left; k / n of them take the first one. */
static bool find_layers(lrp_sampler *s, int k) {
  const int gap = s->filter.distance - 1;
  int64_t n = s->free_layers - (int64_t)(k - 1) * gap;
  int64_t layer = s->filter.keep_first;
  int i = 0;
  bool done = BN_sub(s->block, s->within[k], s->within[k - 1]) != 0;

  for (; done && k > 0; n--, layer++) {
    done = BN_copy(s->take, s->block) && lrp_big_scale(s->take, k, n);
    if (done && BN_cmp(s->index, s->take) < 0) {
      s->layers[i++] = (int)layer;
      layer += gap;
      k--;
      BN_swap(s->block, s->take);
    } else {
      done = done && BN_sub(s->index, s->index, s->take) && BN_sub(s->block, s->block, s->take);
    }
  }
  return done;
}

/* Number s->index < s->total. */
static lrp_status find_pick(lrp_sampler *s, lrp_pick *pick) {
  bool done = true;
  const group *c = find_class(s, &done);
  const int k = find_size(s, c, &done);

  if (!done || !find_layers(s, k)) return lrp_big_fail();
  *pick = (lrp_pick){.layers = s->layers, .n_layers = k, .tensors = c->tensors, .row = c->row};
  pick->parameters = s->dense - c->saved * k;
  pick->reduction_percent = reduction(s, pick->parameters);
  return LRP_OK;
}

lrp_status lrp_sampler_next(lrp_sampler *s, lrp_pick *pick, bool *found) {
  *found = BN_cmp(s->next, s->total) < 0;
  if (!*found) return LRP_OK;
  if (!BN_copy(s->index, s->next) || !BN_add_word(s->next, 1)) return lrp_big_fail();
  return find_pick(s, pick);
}

/* ---- random numbers ---- */

/* Source: Steele, Lea and Flood, Fast splittable pseudorandom number generators, OOPSLA 2014. */
static uint64_t next_random(uint64_t *state) {
  uint64_t z = *state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

/* s->index = a number below s->total: random bits, as many as it has, until they are less. The
 * bytes are the same whatever the order of those in a word. */
static bool draw_index(lrp_sampler *s) {
  const int bits = BN_num_bits(s->total), n = BN_num_bytes(s->total);
  do {
    for (int at = 0; at < n; at += 8) {
      const uint64_t word = next_random(&s->random);
      for (int i = 0; i < 8; i++) s->bytes[at + i] = (unsigned char)(word >> (8 * i));
    }
    s->bytes[0] &= (unsigned char)(0xff >> (8 * n - bits));
    if (!BN_bin2bn(s->bytes, n, s->index)) return false;
  } while (BN_cmp(s->index, s->total) >= 0);
  return true;
}

static int compare_numbers(const void *a, const void *b) {
  return BN_cmp(a, b);
}

/* Whether s->index is drawn for the first time; remembers it. */
static lrp_status remember(lrp_sampler *s, bool *first) {
  BIGNUM *number = BN_dup(s->index);
  BIGNUM *const *node = number ? tsearch(number, &s->drawn, compare_numbers) : NULL;

  *first = node && *node == number;
  if (!*first) BN_free(number);
  if (!node) return lrp_big_fail();
  if (*first) s->n_drawn++;
  return LRP_OK;
}

void lrp_sampler_seed(lrp_sampler *s, uint64_t seed) {
  tdestroy(s->drawn, free_number);
  s->drawn = NULL;
  s->n_drawn = 0;
  s->random = seed;
}

lrp_status lrp_sampler_draw(lrp_sampler *s, lrp_pick *pick, bool *found) {
  lrp_status st = LRP_OK;
  bool first = false;

  *found = !BN_is_word(s->total, s->n_drawn);
  while (*found && st == LRP_OK && !first) {
    st = draw_index(s) ? remember(s, &first) : lrp_big_fail();
  }
  return *found && st == LRP_OK ? find_pick(s, pick) : st;
}

void lrp_sampler_ranks(const lrp_sampler *s, const lrp_pick *pick, int *rank) {
  const size_t tensors = (size_t)s->n_tensors;

  memset(rank, 0, (size_t)s->n_layers * tensors * sizeof *rank);
  for (int i = 0; i < pick->n_layers; i++) {
    for (size_t t = 0; t < tensors; t++) {
      if (!(pick->tensors >> t & 1u)) continue;
      rank[(size_t)pick->layers[i] * tensors + t] = s->rows[pick->row].rank[t];
    }
  }
}
