#include "io/tokenizer/json_vocab.h"

#include <string.h>

typedef struct {
  lrp_json_slice id, content, special, normalized, lstrip, rstrip, single_word;
} token_members;

static lrp_status set_member(const lrp_json_file *file, const lrp_json_member *members, size_t n,
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

lrp_status lrp_json_collect(const lrp_json_file *file, lrp_json_slice object, const char *what,
                            const lrp_json_member *members, size_t n) {
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

bool lrp_json_is_null(lrp_json_slice value) {
  return !value.text || lrp_json_is(value, "null");
}

lrp_status lrp_json_flag(const lrp_json_file *file, lrp_json_slice value, const char *what,
                         bool *flag) {
  if (lrp_json_is_null(value)) return LRP_OK;
  if (!lrp_json_is(value, "true") && !lrp_json_is(value, "false")) {
    return lrp_fail(LRP_ERR_DATA, "%s: %s: expected true or false", file->name, what);
  }
  *flag = lrp_json_is(value, "true");
  return LRP_OK;
}

lrp_status lrp_json_vocab(const lrp_json_file *file, lrp_json_slice vocab, lrp_rules *r) {
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

lrp_status lrp_json_unk(const lrp_json_file *file, lrp_json_slice value, lrp_rules *r) {
  lrp_json_slice name;
  lrp_status st;

  if (lrp_json_is_null(value)) return LRP_OK;
  st = lrp_json_string(file, value, "model.unk_token", &name);
  if (st != LRP_OK) return st;
  r->vocab.unk = name.length > 0 ? lrp_vocab_find(&r->vocab, name.text, name.length) : -1;
  if (r->vocab.unk >= 0) return LRP_OK;
  return lrp_fail(LRP_ERR_DATA, "%s: model.unk_token '%.*s' is not in the vocabulary", file->name,
                  (int)(name.length < 100 ? name.length : 100), name.text);
}

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
  const lrp_json_member members[] = {{"id", &m.id},
                                     {"content", &m.content},
                                     {"special", &m.special},
                                     {"normalized", &m.normalized},
                                     {"lstrip", &m.lstrip},
                                     {"rstrip", &m.rstrip},
                                     {"single_word", &m.single_word}};
  lrp_added_token t = {.text = NULL};
  lrp_json_slice content = {0};
  int64_t id = -1;
  bool by_name;
  lrp_status st;

  memset(&m, 0, sizeof m);
  st = lrp_json_collect(file, object, "added_tokens: a token", members,
                        sizeof members / sizeof members[0]);
  if (st == LRP_OK) st = lrp_json_string(file, m.content, "added_tokens: a content", &content);
  by_name = lrp_json_is(m.id, "null");
  if (st == LRP_OK && !by_name) st = lrp_json_integer(file, m.id, "added_tokens: an id", &id);
  if (st == LRP_OK) st = lrp_json_flag(file, m.special, "added_tokens: special", &t.special);
  t.normalized = !t.special;
  if (st == LRP_OK)
    st = lrp_json_flag(file, m.normalized, "added_tokens: normalized", &t.normalized);
  if (st == LRP_OK) st = lrp_json_flag(file, m.lstrip, "added_tokens: lstrip", &t.lstrip);
  if (st == LRP_OK) st = lrp_json_flag(file, m.rstrip, "added_tokens: rstrip", &t.rstrip);
  if (st == LRP_OK)
    st = lrp_json_flag(file, m.single_word, "added_tokens: single_word", &t.single_word);
  if (st != LRP_OK || content.length == 0) return st; /* an empty one is never found */
  if (by_name) {
    id = lrp_vocab_find(&r->vocab, content.text, content.length);
    if (id < 0) return LRP_OK; /* named beside a vocabulary that lacks it */
  }
  t.text = content.text;
  t.length = (uint32_t)content.length;
  return put_added(file, &t, id, r);
}

lrp_status lrp_json_added(const lrp_json_file *file, lrp_json_slice array, lrp_rules *r) {
  lrp_json_walk walk;
  lrp_json_slice value;
  bool more = true;
  lrp_status st;

  if (lrp_json_is_null(array)) return lrp_added_index(&r->added, &r->normalizer);
  st = lrp_json_walk_start(file, array, '[', "added_tokens", &walk);
  while (st == LRP_OK) {
    st = lrp_json_next(&walk, NULL, &value, &more);
    if (st != LRP_OK || !more) break;
    st = read_added_token(file, value, r);
  }
  return st == LRP_OK ? lrp_added_index(&r->added, &r->normalizer) : st;
}
