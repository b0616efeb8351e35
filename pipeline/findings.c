#include "pipeline/findings.h"

#include <stdarg.h>
#include <stdio.h>

enum { text_max = 1024 };

static void print_line(const char *level, const char *subject, const char *text) {
  printf("%-5s %s: ", level, subject);
  for (const char *p = text; *p; p++) putchar((unsigned char)*p < 0x20 || *p == 0x7f ? '?' : *p);
  putchar('\n');
}

static void print_remedy(const char *remedy) {
  printf("      remedy: %s\n", remedy);
}

void lrp_finding_ok(lrp_findings *f, const char *subject, const char *format, ...) {
  char text[text_max];
  va_list ap;

  va_start(ap, format);
  vsnprintf(text, sizeof text, format, ap);
  va_end(ap);
  f->ok++;
  if (!f->quiet) print_line("ok", subject, text);
}

void lrp_finding_warn(lrp_findings *f, const char *subject, const char *remedy, const char *format,
                      ...) {
  char text[text_max];
  va_list ap;

  va_start(ap, format);
  vsnprintf(text, sizeof text, format, ap);
  va_end(ap);
  f->warnings++;
  print_line("warn", subject, text);
  print_remedy(remedy);
}

void lrp_finding_bad(lrp_findings *f, lrp_status st, const char *subject, const char *remedy,
                     const char *format, ...) {
  char text[text_max];
  va_list ap;

  va_start(ap, format);
  vsnprintf(text, sizeof text, format, ap);
  va_end(ap);
  f->bad++;
  if (st > f->status) f->status = st;
  lrp_fail(st, "%s: %s; %s", subject, text, remedy);
  print_line("bad", subject, text);
  print_remedy(remedy);
}
