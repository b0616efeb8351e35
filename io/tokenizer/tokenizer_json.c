#include "io/tokenizer/tokenizer_json.h"

#include <string.h>

#include "io/tokenizer/json_scan.h"
#include "io/tokenizer/json_steps.h"
#include "io/tokenizer/json_vocab.h"

enum { affix_max = 64 }; /* bytes */

typedef struct {
  lrp_json_slice type, vocab, merges, unk_token, dropout;
  lrp_json_slice byte_fallback, fuse_unk, ignore_merges;
  lrp_json_slice continuing_subword_prefix, end_of_word_suffix;
} model_members;

/* ---- The model ------------------------------------------------------------------------------- */

static lrp_status check_type(const lrp_json_file *file, lrp_json_slice type) {
  lrp_json_slice name;
  lrp_status st;

  if (lrp_json_is_null(type))
    return LRP_OK; /* old files: the kind follows from the other members */
  st = lrp_json_string(file, type, "model.type", &name);
  if (st != LRP_OK || lrp_json_is(name, "BPE")) return st;
  return lrp_fail(LRP_ERR_DATA, "%s: the model %.*s is not read by this version, only BPE",
                  file->name, (int)(name.length < 100 ? name.length : 100), name.text);
}

/* A feature that makes ids random must be off. */
static lrp_status check_off(const lrp_json_file *file, lrp_json_slice value, const char *what) {
  if (lrp_json_is_null(value) || lrp_json_is(value, "\"\"") || lrp_json_is(value, "0.0") ||
      lrp_json_is(value, "0")) {
    return LRP_OK;
  }
  return lrp_fail(LRP_ERR_DATA, "%s: model.%s is not read by this version", file->name, what);
}

/* The two parts of a merge: "left right", or ["left", "right"]. left.text is NULL for the headline
 * of an old file of merges. */
static lrp_status read_merge(const lrp_json_file *file, lrp_json_slice value, lrp_json_slice *left,
                             lrp_json_slice *right) {
  lrp_json_walk walk;
  lrp_json_slice text;
  char *space;
  bool more = false;
  lrp_status st;

  *left = (lrp_json_slice){0};
  if (value.text[0] == '"') {
    st = lrp_json_string(file, value, "model.merges", &text);
    if (st != LRP_OK) return st;
    if (text.length >= 8 && memcmp(text.text, "#version", 8) == 0) return LRP_OK;
    space = memchr(text.text, ' ', text.length);
    if (!space) return lrp_json_fail(file, value.text, "a merge without a space");
    *left = (lrp_json_slice){.text = text.text, .length = (size_t)(space - text.text)};
    *right = (lrp_json_slice){.text = space + 1, .length = text.length - left->length - 1};
    return LRP_OK;
  }
  st = lrp_json_walk_start(file, value, '[', "model.merges: a merge", &walk);
  if (st == LRP_OK) st = lrp_json_next(&walk, NULL, left, &more);
  if (st == LRP_OK && more) st = lrp_json_next(&walk, NULL, right, &more);
  if (st == LRP_OK && !more) st = lrp_json_fail(file, value.text, "a merge of less than two parts");
  if (st == LRP_OK) st = lrp_json_next(&walk, NULL, &text, &more);
  if (st == LRP_OK && more) st = lrp_json_fail(file, value.text, "a merge of more than two parts");
  if (st == LRP_OK) st = lrp_json_string(file, *left, "model.merges", left);
  return st == LRP_OK ? lrp_json_string(file, *right, "model.merges", right) : st;
}

static lrp_status find_part(const lrp_json_file *file, const lrp_vocab *v, lrp_json_slice part,
                            int64_t rank, int32_t *id) {
  *id = part.length > 0 ? lrp_vocab_find_mergeable(v, part.text, part.length) : -1;
  if (*id >= 0) return LRP_OK;
  return lrp_fail(LRP_ERR_DATA,
                  "%s: model.merges: merge %lld: '%.*s' is not in the vocabulary; the file is "
                  "damaged, fetch it again",
                  file->name, (long long)rank, (int)(part.length < 100 ? part.length : 100),
                  part.text);
}

/* Where the right part of a merge goes on behind the prefix that it has as no first one. */
static lrp_json_slice without_prefix(const lrp_rules *r, lrp_json_slice right) {
  const size_t n = r->prefix.length < right.length ? r->prefix.length : right.length;
  return (lrp_json_slice){.text = right.text + n, .length = right.length - n};
}

static lrp_status put_merge(const lrp_json_file *file, lrp_json_slice left, lrp_json_slice right,
                            int64_t rank, lrp_rules *r) {
  const lrp_json_slice rest = without_prefix(r, right);
  const lrp_json_slice whole = {.text = left.text, .length = left.length + rest.length};
  lrp_bpe_merge merge = {.rank = (uint32_t)rank};
  int32_t left_id, right_id;
  lrp_status st = find_part(file, &r->vocab, left, rank, &left_id);

  if (st == LRP_OK) st = find_part(file, &r->vocab, right, rank, &right_id);
  if (st != LRP_OK) return st;
  memmove(left.text + left.length, rest.text, rest.length); /* the right part stands behind it */
  st = find_part(file, &r->vocab, whole, rank, &merge.id);
  if (st != LRP_OK) return st;
  if (lrp_has_inner_mark(whole.text, whole.length)) r->joins_words = true;
  return lrp_merges_put(&r->merges, left_id, right_id, merge);
}

static lrp_status read_merges(const lrp_json_file *file, lrp_json_slice merges, lrp_rules *r) {
  lrp_json_walk walk;
  lrp_json_slice value, left, right;
  int64_t rank = 0;
  bool more = true;
  lrp_status st = lrp_json_walk_start(file, merges, '[', "model.merges", &walk);

  while (st == LRP_OK) {
    st = lrp_json_next(&walk, NULL, &value, &more);
    if (st != LRP_OK || !more) break;
    st = read_merge(file, value, &left, &right);
    if (st == LRP_OK && left.text) st = put_merge(file, left, right, rank++, r);
  }
  return st;
}

static lrp_status collect_model(const lrp_json_file *file, lrp_json_slice object,
                                model_members *m) {
  const lrp_json_member members[] = {{"type", &m->type},
                                     {"vocab", &m->vocab},
                                     {"merges", &m->merges},
                                     {"unk_token", &m->unk_token},
                                     {"dropout", &m->dropout},
                                     {"byte_fallback", &m->byte_fallback},
                                     {"fuse_unk", &m->fuse_unk},
                                     {"ignore_merges", &m->ignore_merges},
                                     {"continuing_subword_prefix", &m->continuing_subword_prefix},
                                     {"end_of_word_suffix", &m->end_of_word_suffix}};
  return lrp_json_collect(file, object, "model", members, sizeof members / sizeof members[0]);
}

/* Whether words are more than the merges say: their marks may be UNK, or what stands between two
 * marks may vanish. */
static bool may_join_words(const lrp_rules *r) {
  return r->ignore_merges || r->prefix.length > 0 || r->suffix.length > 0 || r->vocab.unk < 0 ||
         lrp_vocab_find_mergeable(&r->vocab, LRP_SPACE_MARK, LRP_SPACE_MARK_LENGTH) < 0;
}

/* The text of a prefix or suffix; null is none. */
static lrp_status read_affix(const lrp_json_file *file, lrp_json_slice value, const char *what,
                             lrp_affix *affix) {
  lrp_json_slice text;
  lrp_status st;

  if (lrp_json_is_null(value)) return LRP_OK;
  st = lrp_json_string(file, value, what, &text);
  if (st != LRP_OK) return st;
  *affix = (lrp_affix){.text = text.text, .length = text.length};
  if (text.length <= affix_max) return LRP_OK;
  return lrp_fail(LRP_ERR_DATA, "%s: %s has %zu bytes, more than %d", file->name, what, text.length,
                  (int)affix_max);
}

static lrp_status read_affixes(const lrp_json_file *file, const model_members *m, lrp_rules *r) {
  const lrp_status st =
      read_affix(file, m->continuing_subword_prefix, "model.continuing_subword_prefix", &r->prefix);
  if (st != LRP_OK) return st;
  return read_affix(file, m->end_of_word_suffix, "model.end_of_word_suffix", &r->suffix);
}

static lrp_status read_model(const lrp_json_file *file, const model_members *m, lrp_rules *r) {
  lrp_status st = check_off(file, m->dropout, "dropout");

  if (st == LRP_OK) st = read_affixes(file, m, r);
  if (st == LRP_OK)
    st = lrp_json_flag(file, m->byte_fallback, "model.byte_fallback", &r->byte_fallback);
  if (st == LRP_OK) st = lrp_json_flag(file, m->fuse_unk, "model.fuse_unk", &r->fuse_unk);
  if (st == LRP_OK)
    st = lrp_json_flag(file, m->ignore_merges, "model.ignore_merges", &r->ignore_merges);
  if (st == LRP_OK) st = lrp_json_vocab(file, m->vocab, r);
  if (st == LRP_OK) st = lrp_json_unk(file, m->unk_token, r);
  r->by_merges = true;
  r->joins_words = may_join_words(r);
  return st == LRP_OK ? read_merges(file, m->merges, r) : st;
}

/* ---- The file -------------------------------------------------------------------------------- */

/* Id of a special added token, or -1. */
static int32_t find_special(const lrp_rules *r, const char *text) {
  const int32_t id = lrp_vocab_find(&r->vocab, text, strlen(text));
  return id >= 0 && r->vocab.pieces[id].type == LRP_PIECE_CONTROL ? id : -1;
}

static void set_marks(lrp_rules *r) {
  lrp_vocab *v = &r->vocab;

  v->bos = r->front.count > 0 ? r->front.ids[0] : find_special(r, "<s>");
  v->eos = r->behind.count > 0 ? r->behind.ids[r->behind.count - 1] : find_special(r, "</s>");
}

lrp_status lrp_tokenizer_json_read(char *data, size_t size, const char *name, lrp_rules *r) {
  const lrp_json_file file = {.name = name, .data = data};
  lrp_json_slice whole = {0}, model = {0}, added = {0};
  lrp_json_steps steps = {{0}, {0}, {0}, {0}};
  const lrp_json_member members[] = {{"model", &model},
                                     {"added_tokens", &added},
                                     {"normalizer", &steps.normalizer},
                                     {"pre_tokenizer", &steps.pre_tokenizer},
                                     {"post_processor", &steps.post_processor},
                                     {"decoder", &steps.decoder}};
  model_members m;
  lrp_status st;

  memset(&m, 0, sizeof m);
  lrp_rules_init(r);
  r->vocab.data = data;
  st = lrp_json_whole(&file, data, size, &whole);
  if (st == LRP_OK) {
    st = lrp_json_collect(&file, whole, "the file", members, sizeof members / sizeof members[0]);
  }
  if (st == LRP_OK) st = collect_model(&file, model, &m);
  if (st == LRP_OK) st = check_type(&file, m.type);
  if (st == LRP_OK) st = lrp_json_normalizer_read(&file, steps.normalizer, r);
  if (st == LRP_OK) st = lrp_json_pre_tokenizer_read(&file, steps.pre_tokenizer, r);
  if (st == LRP_OK) st = lrp_json_decoder_read(&file, steps.decoder, r);
  if (st == LRP_OK) st = read_model(&file, &m, r);
  if (st == LRP_OK) st = lrp_json_added(&file, added, r);
  if (st == LRP_OK) st = lrp_json_post_processor_read(&file, steps.post_processor, r);
  if (st == LRP_OK) st = lrp_piece_cache_create(&r->cache);
  if (st == LRP_OK) set_marks(r);
  return st;
}
