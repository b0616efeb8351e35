/** @file tests/tools/synth_pieces.h
 *  Vocabularies made by rule: lists of distinct pieces of text. */
#ifndef LRP_TESTS_TOOLS_SYNTH_PIECES_H
#define LRP_TESTS_TOOLS_SYNTH_PIECES_H

#include <jansson.h>
#include <stdint.h>

#include "kernels/status.h"

enum { LRP_SYNTH_PIECE_SIZE = 24 };

typedef struct {
  char (*text)[LRP_SYNTH_PIECE_SIZE]; /* owned */
  int64_t count, wanted;
  json_t *seen; /* owned set of all texts */
} lrp_synth_pieces;

/** wanted pieces in the order in which byte-pair merges could make them: word_start ("▁"),
 * printable ASCII, then pieces that are each two earlier ones joined. Local. Release with free.
 *  @return LRP_OK; LRP_ERR_USAGE if wanted is fewer than the single characters; LRP_ERR_MEM */
lrp_status lrp_synth_pieces_bpe(lrp_synth_pieces *p, int64_t wanted);

/** wanted lines of a WordPiece vocabulary: special tokens, characters, "##" characters, words and
 *  parts of words, in lower case. Local. @return as lrp_synth_pieces_bpe */
lrp_status lrp_synth_pieces_wordpiece(lrp_synth_pieces *p, int64_t wanted);

void lrp_synth_pieces_free(lrp_synth_pieces *p);

#endif
