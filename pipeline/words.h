/** @file pipeline/words.h
 *  Words and numbers for people: suggestions for typing errors, shortest exact decimals. */
#ifndef LRP_PIPELINE_WORDS_H
#define LRP_PIPELINE_WORDS_H

/** The known word nearest to text, or NULL if none is near: at most a third of text's length
 *  (rounded up) of edits, each of which inserts, deletes or replaces a character or swaps two
 *  neighbours. The first of equally near ones wins. Local. */
const char *lrp_did_you_mean(const char *text, const char *const *known, int n_known);

/** Length of the longest double that lrp_format_double writes, with its NUL. */
enum { LRP_DOUBLE_TEXT = 32 };

/** The shortest %g form that reads back as value (15 to 17 digits). Local. @return text */
const char *lrp_format_double(double value, char text[LRP_DOUBLE_TEXT]);

#endif
