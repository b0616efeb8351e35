/** @file pipeline/python_text.h
 *  Unicode text as Python's str treats it: the harness that defines the benchmarks is Python, and a
 *  different idea of white space or of case gives different tokens. All text is valid UTF-8. */
#ifndef LRP_PIPELINE_PYTHON_TEXT_H
#define LRP_PIPELINE_PYTHON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Text by a printf format, freed by the caller; NULL (recorded as out of memory). Local. */
char *lrp_text_format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** str.rstrip(): how many of the first length bytes of text are left without white space at their
 *  end. Local. */
size_t lrp_text_rstrip(const char *text, size_t length);

/** str.lstrip(): how many bytes of white space the first length bytes of text begin with. Local. */
size_t lrp_text_lstrip(const char *text, size_t length);

/** str.strip(), in place: white space removed at both ends. Local. Returns text. */
char *lrp_text_strip(char *text);

/** str.capitalize(): first character in title case, all others in lower case; freed by the caller,
 *  NULL (recorded as out of memory). Local. Two differences to Python, which no benchmark's rows
 *  meet: a capital sigma at the end of a word becomes the medial one, and a first character whose
 *  title case is several characters (sharp s, ligatures: 48 in all) is mapped to a single one. */
char *lrp_text_capitalize(const char *text);

/** str.lower(), but for a capital sigma at the end of a word, as above; freed by the caller, NULL
 *  (recorded as out of memory). Local. */
char *lrp_text_lower(const char *text);

/** Bytes of the character that the first length bytes of text (length > 0) begin with, and whether
 *  it matches \w in re: letters, numbers and "_". Local. */
size_t lrp_text_word_character(const char *text, size_t length, bool *word);

/** Bytes of the first n characters of text, or of all if it has fewer. Local. */
size_t lrp_text_skip(const char *text, int64_t n);

/** str.replace(from, to), in place; to is not longer than from, which is not empty. Local. */
void lrp_text_replace(char *text, const char *from, const char *to);

/** len(re.split(r"\s+", text)): pieces between runs of white space, empty ones at the ends
 * included. Local. */
int64_t lrp_text_pieces(const char *text);

/** len(): number of code points. Local. */
int64_t lrp_text_code_points(const char *text);

#endif
