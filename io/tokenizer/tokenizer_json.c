#include "io/tokenizer/tokenizer_json.h"

#include <string.h>

#include "io/tokenizer/json_scan.h"
#include "io/tokenizer/json_steps.h"

/* Members of an object that are looked at. */
typedef struct {
  const char *name;
  lrp_json_slice *value;
} member;

typedef struct {
  lrp_json_slice type, vocab, merges, unk_token, dropout;
  lrp_json_slice byte_fallback, fuse_unk, ignore_merges;
  lrp_json_slice continuing_subword_prefix, end_of_word_suffix;
} model_members;

typedef struct {
  lrp_json_slice id, content, special, normalized, lstrip, rstrip, single_word;
} token_members;

/* ---- Members --------------------------------------------------------------------------------- */

static lrp_status set_member(const lrp_json_file *file, const member *members, size_t n,
                             lrp_json_slice name, lrp_json_slice value) {
  for (size_t i = 0; i < n; i++) {
    if (!lrp_json_is(name, members[i].name)) continue;
    if (members[i].value->text) {
      return lrp_fail(LRP_ERR_DATA, "%s: %s is there twice; the file is damaged, fetch it again",
                      file->name, members[i].name);
    }
    *members[i].value = value;
  }
  return LRP_OK;
}

static lrp_status collect(const lrp_json_file *file, lrp_json_slice object, const char *what,
                          const member *members, size_t n) {
  lrp_json_walk walk;
  lrp_json_slice name, value;
  bool more = true;
  lrp_status st = lrp_json_walk_start(file, object, '{', what, &walk);

  while (st == LRP_OK && more) {
    st = lrp_json_next(&walk, &name, &value, &more);
    if (st == LRP_OK && more) st = set_member(file, members, n, name, value);
  }
  return st;
}

static bool is_null(lrp_json_slice value) {
  return !value.text || lrp_json_is(value, "null");
}

/* Absent and null keep the default. */
static lrp_status read_flag(const lrp_json_file *file, lrp_json_slice value, const char *what,
                            bool *flag) {
  if (is_null(value)) return LRP_OK;
  if (!lrp_json_is(value, "true") && !lrp_json_is(value, "false")) {
    return lrp_fail(LRP_ERR_DATA, "%s: %s: expected true or false", file->name, what);
  }
  *flag = lrp_json_is(value, "true");
  return LRP_OK;
}

/* ---- The model ------------------------------------------------------------------------------- */

static lrp_status check_type(const lrp_json_file *file, lrp_json_slice type) {
  lrp_json_slice name;
  lrp_status st;

  if (is_null(type)) return LRP_OK; /* old files: the kind follows from the other members */
  st = lrp_json_string(file, type, "model.type", &name);
  if (st != LRP_OK || lrp_json_is(name, "BPE")) return st;
  return lrp_fail(LRP_ERR_DATA, "%s: the model %.*s is not read by this version, only BPE",
                  file->name, (int)(name.length < 100 ? name.length : 100), name.text);
}

/* Features that nobody uses with such vocabularies must be off. */
static lrp_status check_off(const lrp_json_file *file, lrp_json_slice value, const char *what) {
  if (is_null(value) || lrp_json_is(value, "\"\"") || lrp_json_is(value, "0.0") ||
      lrp_json_is(value, "0")) {
    return LRP_OK;
  }
  return lrp_fail(LRP_ERR_DATA, "%s: model.%s is not read by this version", file->name, what);
}

static lrp_status read_vocab(const lrp_json_file *file, lrp_json_slice vocab, lrp_rules *r) {
  lrp_json_walk walk;
  lrp_json_slice name, value;
  bool more = true;
  lrp_status st = lrp_json_walk_start(file, vocab, '{', "model.vocab", &walk);

  while (st == LRP_OK) {
    lrp_piece piece = {.type = LRP_PIECE_NORMAL, .mergeable = true};
    int64_t id = -1;
    st = lrp_json_next(&walk, &name, &value, &more);
    if (st != LRP_OK || !more) break;
    st = lrp_json_integer(file, value, "model.vocab: an id", &id);
    if (st != LRP_OK) break;
    piece.text = name.text;
    piece.length = (uint32_t)name.length;
    if (r->byte_fallback && lrp_byte_value(name.text, name.length) >= 0) {
      piece.type = LRP_PIECE_BYTE;
    }
    st = lrp_vocab_put(&r->vocab, id, &piece, file->name);
  }
  if (st != LRP_OK || r->vocab.count > 0) return st;
  return lrp_fail(LRP_ERR_DATA, "%s: model.vocab: holds no pieces; fetch the file again",
                  file->name);
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

static lrp_status put_merge(const lrp_json_file *file, lrp_json_slice left, lrp_json_slice right,
                            int64_t rank, lrp_rules *r) {
  lrp_json_slice whole = {.text = left.text, .length = left.length + right.length};
  lrp_bpe_merge merge = {.rank = (uint32_t)rank};
  int32_t left_id, right_id;
  lrp_status st = find_part(file, &r->vocab, left, rank, &left_id);

  if (st == LRP_OK) st = find_part(file, &r->vocab, right, rank, &right_id);
  if (st != LRP_OK) return st;
  memmove(left.text + left.length, right.text, right.length); /* the right part stands behind it */
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

static lrp_status read_unk(const lrp_json_file *file, lrp_json_slice value, lrp_rules *r) {
  lrp_json_slice name;
  lrp_status st;

  if (is_null(value)) return LRP_OK;
  st = lrp_json_string(file, value, "model.unk_token", &name);
  if (st != LRP_OK) return st;
  r->vocab.unk = name.length > 0 ? lrp_vocab_find(&r->vocab, name.text, name.length) : -1;
  if (r->vocab.unk >= 0) return LRP_OK;
  return lrp_fail(LRP_ERR_DATA, "%s: model.unk_token '%.*s' is not in the vocabulary", file->name,
                  (int)(name.length < 100 ? name.length : 100), name.text);
}

static lrp_status collect_model(const lrp_json_file *file, lrp_json_slice object,
                                model_members *m) {
  const member members[] = {{"type", &m->type},
                            {"vocab", &m->vocab},
                            {"merges", &m->merges},
                            {"unk_token", &m->unk_token},
                            {"dropout", &m->dropout},
                            {"byte_fallback", &m->byte_fallback},
                            {"fuse_unk", &m->fuse_unk},
                            {"ignore_merges", &m->ignore_merges},
                            {"continuing_subword_prefix", &m->continuing_subword_prefix},
                            {"end_of_word_suffix", &m->end_of_word_suffix}};
  return collect(file, object, "model", members, sizeof members / sizeof members[0]);
}

/* Whether words are more than the merges say: their marks may be UNK, or what stands between two
 * marks may vanish. */
static bool may_join_words(const lrp_rules *r) {
  return r->ignore_merges || r->vocab.unk < 0 ||
         lrp_vocab_find_mergeable(&r->vocab, LRP_SPACE_MARK, LRP_SPACE_MARK_LENGTH) < 0;
}

static lrp_status read_model(const lrp_json_file *file, const model_members *m, lrp_rules *r) {
  lrp_status st = check_off(file, m->dropout, "dropout");

  if (st == LRP_OK) {
    st = check_off(file, m->continuing_subword_prefix, "continuing_subword_prefix");
  }
  if (st == LRP_OK) st = check_off(file, m->end_of_word_suffix, "end_of_word_suffix");
  if (st == LRP_OK)
    st = read_flag(file, m->byte_fallback, "model.byte_fallback", &r->byte_fallback);
  if (st == LRP_OK) st = read_flag(file, m->fuse_unk, "model.fuse_unk", &r->fuse_unk);
  if (st == LRP_OK)
    st = read_flag(file, m->ignore_merges, "model.ignore_merges", &r->ignore_merges);
  if (st == LRP_OK) st = read_vocab(file, m->vocab, r);
  if (st == LRP_OK) st = read_unk(file, m->unk_token, r);
  r->by_merges = true;
  r->joins_words = may_join_words(r);
  return st == LRP_OK ? read_merges(file, m->merges, r) : st;
}

/* ---- Added tokens ---------------------------------------------------------------------------- */

/* A token that the model's vocabulary has keeps its id; one that it lacks gets a piece. */
static lrp_status put_added(const lrp_json_file *file, const lrp_added_token *token, int64_t id,
                            lrp_rules *r) {
  const int32_t found = lrp_vocab_find(&r->vocab, token->text, token->length);
  lrp_added_token own = *token;
  lrp_status st = LRP_OK;

  if (found >= 0 && found != id) {
    return lrp_fail(LRP_ERR_DATA,
                    "%s: added_tokens: '%.*s' has the id %lld, but %d in the vocabulary",
                    file->name, (int)(own.length < 100 ? own.length : 100), own.text, (long long)id,
                    (int)found);
  }
  if (found < 0) {
    const lrp_piece piece = {
        .text = own.text, .length = own.length, .type = LRP_PIECE_USER_DEFINED};
    st = lrp_vocab_put(&r->vocab, id, &piece, file->name);
  }
  if (st != LRP_OK) return st;
  own.id = (int32_t)id;
  own.text = r->vocab.pieces[id].text;
  if (own.special) r->vocab.pieces[id].type = LRP_PIECE_CONTROL;
  return lrp_added_put(&r->added, &own);
}

static lrp_status read_added_token(const lrp_json_file *file, lrp_json_slice object, lrp_rules *r) {
  token_members m;
  const member members[] = {{"id", &m.id},
                            {"content", &m.content},
                            {"special", &m.special},
                            {"normalized", &m.normalized},
                            {"lstrip", &m.lstrip},
                            {"rstrip", &m.rstrip},
                            {"single_word", &m.single_word}};
  lrp_added_token t = {.text = NULL};
  lrp_json_slice content = {0};
  int64_t id = -1;
  lrp_status st;

  memset(&m, 0, sizeof m);
  st = collect(file, object, "added_tokens: a token", members, sizeof members / sizeof members[0]);
  if (st == LRP_OK) st = lrp_json_integer(file, m.id, "added_tokens: an id", &id);
  if (st == LRP_OK) st = lrp_json_string(file, m.content, "added_tokens: a content", &content);
  if (st == LRP_OK) st = read_flag(file, m.special, "added_tokens: special", &t.special);
  t.normalized = !t.special;
  if (st == LRP_OK) st = read_flag(file, m.normalized, "added_tokens: normalized", &t.normalized);
  if (st == LRP_OK) st = read_flag(file, m.lstrip, "added_tokens: lstrip", &t.lstrip);
  if (st == LRP_OK) st = read_flag(file, m.rstrip, "added_tokens: rstrip", &t.rstrip);
  if (st == LRP_OK)
    st = read_flag(file, m.single_word, "added_tokens: single_word", &t.single_word);
  if (st != LRP_OK || content.length == 0) return st; /* an empty one is never found */
  t.text = content.text;
  t.length = (uint32_t)content.length;
  return put_added(file, &t, id, r);
}

static lrp_status read_added(const lrp_json_file *file, lrp_json_slice array, lrp_rules *r) {
  lrp_json_walk walk;
  lrp_json_slice value;
  bool more = true;
  lrp_status st;

  if (is_null(array)) return lrp_added_index(&r->added, &r->normalizer);
  st = lrp_json_walk_start(file, array, '[', "added_tokens", &walk);
  while (st == LRP_OK) {
    st = lrp_json_next(&walk, NULL, &value, &more);
    if (st != LRP_OK || !more) break;
    st = read_added_token(file, value, r);
  }
  return st == LRP_OK ? lrp_added_index(&r->added, &r->normalizer) : st;
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
  const member members[] = {{"model", &model},
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
    st = collect(&file, whole, "the file", members, sizeof members / sizeof members[0]);
  }
  r->strip_space = is_null(steps.decoder);
  if (st == LRP_OK) st = collect_model(&file, model, &m);
  if (st == LRP_OK) st = check_type(&file, m.type);
  if (st == LRP_OK) st = lrp_json_steps_read(&file, &steps, r);
  if (st == LRP_OK) st = read_model(&file, &m, r);
  if (st == LRP_OK) st = read_added(&file, added, r);
  if (st == LRP_OK) st = lrp_json_template_read(&file, &steps, r);
  if (st == LRP_OK) set_marks(r);
  return st;
}
