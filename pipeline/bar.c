#include "pipeline/bar.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <utf8proc.h>

#include "pipeline/eta.h"

enum { bar_min = 10, bar_max = 40, what_min = 8, piece_max = 64 };

/* A line that grows: bytes and columns. */
typedef struct {
  char *text;
  size_t used, size;
  int columns;
} line;

static void add(line *l, const char *bytes, size_t n, int columns) {
  if (l->used + n + 1 > l->size) return;
  memcpy(l->text + l->used, bytes, n);
  l->used += n;
  l->text[l->used] = '\0';
  l->columns += columns;
}

static void add_ascii(line *l, const char *text) {
  add(l, text, strlen(text), (int)strlen(text));
}

/* The next character of text: its bytes and columns; one '?' for what a terminal cannot show. */
static size_t next_character(const char *text, const char **bytes, size_t *n, int *columns) {
  utf8proc_int32_t c;
  const utf8proc_ssize_t length =
      utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)strlen(text), &c);
  *bytes = text;
  *n = length > 0 ? (size_t)length : 1;
  const size_t taken = *n;
  *columns = length > 0 ? utf8proc_charwidth(c) : 0;
  const utf8proc_category_t kind = length > 0 ? utf8proc_category(c) : UTF8PROC_CATEGORY_CN;
  const int mark = kind == UTF8PROC_CATEGORY_MN || kind == UTF8PROC_CATEGORY_ME;
  if (length > 0 && (*columns > 0 || mark)) return taken;
  *bytes = "?";
  *n = 1;
  *columns = 1;
  return taken;
}

static int columns_of(const char *text) {
  int all = 0;
  while (*text) {
    const char *bytes;
    size_t n;
    int columns;
    text += next_character(text, &bytes, &n, &columns);
    all += columns;
  }
  return all;
}

/* Text in no more than room columns; "..." stands for its end if it is longer. */
static void add_text(line *l, const char *text, int room) {
  const bool cut = columns_of(text) > room;
  int left = cut ? room - 3 : room;
  while (*text) {
    const char *bytes;
    size_t n;
    int columns;
    const size_t taken = next_character(text, &bytes, &n, &columns);
    if (columns > left) break;
    add(l, bytes, n, columns);
    left -= columns;
    text += taken;
  }
  if (cut) add_ascii(l, "...");
}

static void add_bar(line *l, const lrp_bar *bar, int width) {
  const int cells = width - 2;
  const double part = bar->total > 0 ? (double)bar->done / (double)bar->total : 1.0;
  const int full = part >= 1.0 ? cells : part > 0.0 ? (int)(part * cells) : 0;
  add_ascii(l, "[");
  for (int i = 0; i < cells; i++) add_ascii(l, i < full ? "#" : ".");
  add_ascii(l, "] ");
}

/* The numbers, as many of them as there is room for. */
static void find_numbers(const lrp_bar *bar, int room, char text[piece_max]) {
  char time[LRP_ETA_TEXT];
  const int percent = lrp_percent(bar->done, bar->total);
  const long long done = bar->done, total = bar->total;
  lrp_eta_text(bar->seconds, time);
  if (snprintf(text, piece_max, "%lld/%lld %3d %%  %s", done, total, percent, time) <= room) return;
  if (snprintf(text, piece_max, "%lld/%lld %3d %%", done, total, percent) <= room) return;
  if (snprintf(text, piece_max, "%d %%", percent) > room) text[0] = '\0';
}

const char *lrp_bar_text(const lrp_bar *bar, int width, char *text, size_t size) {
  line l = {.text = text, .size = size};
  char numbers[piece_max];
  const char *what = bar->what ? bar->what : "";
  const int room = width - 1; /* a full line would wrap */
  text[0] = '\0';
  find_numbers(bar, room, numbers);
  const int stage = columns_of(bar->stage) + 1, fixed = (int)strlen(numbers);
  if (fixed == 0) return text;
  if (stage + fixed <= room) {
    add_text(&l, bar->stage, stage - 1);
    add_ascii(&l, " ");
  }
  int rest = room - l.columns - fixed;
  if (rest >= bar_min + 1) {
    int cells = (rest - 1) / 3 > bar_min ? (rest - 1) / 3 : bar_min;
    if (*what == '\0') cells = rest - 1;
    cells = cells < bar_max ? cells : bar_max;
    add_bar(&l, bar, cells);
    rest -= cells + 1;
  }
  add_ascii(&l, numbers);
  if (*what && rest >= what_min + 2) {
    add_ascii(&l, "  ");
    add_text(&l, what, rest - 2);
  }
  return text;
}
