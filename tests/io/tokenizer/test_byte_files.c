/* Byte-level BPE: ids to text as Hugging Face's tokenizers 0.20.3 decodes them, and the files
 * vocab.json and merges.txt as transformers 4.46 reads them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/io/tokenizer/byte_level_files.h"

/* ---- Decoding -------------------------------------------------------------------------------- */

static void test_decodes_bytes(void **state) {
  lrp_tokenizer *tok = open_parts(&(parts){.pre_tokenizer = GPT2});
  (void)state;

  DECODES(tok, "hello world", hello, 264, 300); /* special ones are skipped */
  DECODES(tok, " world", 264);                  /* the space stays */
  DECODES(tok, "\xf0\x9f\xa6\x99", 240, 159, 166, 153);
  DECODES(tok, "\xef\xbf\xbd", 240, 159, 166);          /* a character cut off: one, */
  DECODES(tok, "\xef\xbf\xbd\xef\xbf\xbd", 0xed, 0xa0); /* but half a surrogate pair: each byte */
  DECODES(tok, "\xef\xbf\xbdhello\xef\xbf\xbd\xef\xbf\xbd", 0xff, hello, 0xe2, 0x80, 0xc0);
  DECODES(tok, "a\xef\xbf\xbd", 'a', 0);               /* a NUL would end the string */
  DECODES(tok, "hello \xe6\xbc\xa2", hello, ' ', 302); /* no character of a byte: its own text */
  DECODES(tok, "\xef\xbf\xbdt\xef\xbf\xbd", 301);      /* but these are characters of bytes */
  DECODES(tok, "hello", -1, hello, 299, 5000);
  DECODES(tok, "hello .", hello, ' ', '.');
  decodes(tok, NULL, 0, "");
  lrp_tokenizer_close(&tok);
}

static void test_decoders(void **state) {
  lrp_tokenizer *tok = open_parts(&(parts){
      .decoder = "{`type`:`Sequence`,`decoders`:[{`type`:`ByteLevel`},{`type`:`Replace`,`pattern`:"
                 "{`Regex`:`l+`},`content`:`L`},{`type`:`Fuse`},{`type`:`Strip`,`content`:` `,"
                 "`start`:2,`stop`:1}]}"});
  (void)state;

  DECODES(tok, " heLo ", ' ', 267, hello, 267);
  lrp_tokenizer_close(&tok);
  tok = open_parts(&(parts){.decoder = "{`type`:`BPEDecoder`,`suffix`:`l`}"});
  DECODES(tok, "he  ohe  o", hello, hello - 1, 'o');
  DECODES(tok, "he", hello - 1);
  lrp_tokenizer_close(&tok);
  tok = open_parts(
      &(parts){.decoder = "{`type`:`Metaspace`,`replacement`:`l`,`prepend_scheme`:`always`}"});
  DECODES(tok, "heohe  o", hello, hello);
  lrp_tokenizer_close(&tok);
}

static void test_clean_up(void **state) {
  lrp_tokenizer *tok = open_parts(
      &(parts){.pre_tokenizer = GPT2, .config = "{`clean_up_tokenization_spaces`:true}"});
  static const char text[] = "a . b ? c ! d , e ' f do n't I 'm he 's we 've you 're . .";
  lrp_tokens t = {0};
  (void)state;

  assert_int_equal(lrp_tokenizer_encode(tok, text, sizeof text - 1, false, &t), LRP_OK);
  decodes(tok, t.ids, t.count, "a. b? c! d, e'f don't I'm he's we've you're..");
  lrp_tokens_free(&t);
  lrp_tokenizer_close(&tok);
}

/* ---- vocab.json and merges.txt --------------------------------------------------------------- */

static place make_gpt2(const char *config) {
  place p = make_place();
  FILE *f = create_file(&p, "vocab.json");

  put_vocab(f);
  fclose(f);
  f = create_file(&p, "merges.txt");
  fputs("#version: 0.2\n", f);
  for (int i = 0; i < n_merges; i++) fprintf(f, "%s%s\n", merges[i], i % 2 ? "\r" : "");
  fclose(f);
  f = create_file(&p, "tokenizer_config.json");
  put_json(f, config);
  fclose(f);
  return p;
}

static void test_gpt2_files(void **state) {
  place p = make_gpt2(
      "{`bos_token`:`a`,`eos_token`:{`content`:`<|end|>`},`add_bos_token`:true,"
      "`added_tokens_decoder`:{`300`:{`content`:`<|end|>`,`special`:true}}}");
  lrp_tokenizer *tok = open_place(&p);
  (void)state;

  assert_string_equal(lrp_tokenizer_file(tok), "vocab.json");
  assert_int_equal(lrp_tokenizer_eos(tok), 300);
  EXPECT(tok, true, "hello world<|end|>", 97, hello, 264, 300);
  DECODES(tok, "hello", hello, 300);
  lrp_tokenizer_close(&tok);

  p = make_gpt2("{`add_prefix_space`:true,`tokenizer_class`:`GPT2TokenizerFast`}");
  tok = open_place(&p);
  EXPECT(tok, true, "hello", 32, hello); /* GPT-2's pattern keeps " hello" together, but " he" has a
                                            higher rank than "hello" */
  assert_int_equal(lrp_tokenizer_bos(tok), -1);
  lrp_tokenizer_close(&tok);

  p = make_gpt2("{`tokenizer_class`:`Qwen2Tokenizer`}");
  tok = open_place(&p);
  EXPECT(tok, true, "e\xcc\x81(hello12", 270, '(', hello, '1', '2'); /* NFC; digits are alone */
  lrp_tokenizer_close(&tok);
}

static void test_refuses_gpt2_files(void **state) {
  place p = make_gpt2("{`tokenizer_class`:`LEDTokenizer`}");
  lrp_tokenizer *tok = NULL;
  (void)state;

  assert_int_equal(lrp_tokenizer_open(p.dir, &tok), LRP_ERR_DATA);
  assert_non_null(strstr(lrp_failure_message(LRP_ERR_DATA), "LEDTokenizer"));
  lrp_failure_clear();
  remove_place(&p);
  p = make_gpt2("{}");
  snprintf(p.path, sizeof p.path, "%s/merges.txt", p.dir);
  assert_int_equal(unlink(p.path), 0);
  assert_int_equal(lrp_tokenizer_open(p.dir, &tok), LRP_ERR_ABSENT);
  assert_non_null(strstr(lrp_failure_message(LRP_ERR_ABSENT), "merges.txt"));
  lrp_failure_clear();
  remove_place(&p);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_decodes_bytes),      cmocka_unit_test(test_decoders),
      cmocka_unit_test(test_clean_up),           cmocka_unit_test(test_gpt2_files),
      cmocka_unit_test(test_refuses_gpt2_files),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
