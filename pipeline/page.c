#include "pipeline/page.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "io/base/file.h"
#include "pipeline/page_parts.h"
#include "pipeline/report.h"

/* A member that is there and holds something; else NULL. */
static const json_t *part(const json_t *all, const char *key) {
  const json_t *value = json_object_get(all, key);
  if (json_is_array(value) && json_array_size(value) > 0) return value;
  return json_is_object(value) ? value : NULL;
}

static lrp_page page_of(const json_t *all, FILE *f) {
  return (lrp_page){.f = f,
                    .all = all,
                    .rows = part(all, "configurations"),
                    .tasks = part(all, "tasks"),
                    .tensors = part(all, "tensors"),
                    .sensitivity = part(all, "sensitivity"),
                    .efficiency = part(all, "efficiency"),
                    .choice = part(all, "choice"),
                    .provenance = part(all, "provenance")};
}

static void write_opening(lrp_page *page, const char *title) {
  lrp_page_print(page,
                 "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
                 "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
                 "<meta name=\"color-scheme\" content=\"light dark\"/>\n"
                 /* nothing is fetched, not even the icon of the site */
                 "<link rel=\"icon\" href=\"data:,\"/>\n<title>");
  lrp_markup_text(page->f, title);
  lrp_page_print(page, " \xe2\x80\x93 lrpipe</title>\n<style>\n");
  for (int i = 0; lrp_page_style[i]; i++) fputs(lrp_page_style[i], page->f);
  lrp_page_print(page, "</style>\n</head>\n<body>\n");
}

static lrp_status write_sections(lrp_page *page) {
  lrp_page_print(page, "<main>\n");
  lrp_status st = lrp_page_accuracy(page);
  if (st == LRP_OK) lrp_page_choice(page);
  if (st == LRP_OK) st = lrp_page_efficiency(page);
  if (st == LRP_OK) st = lrp_page_sensitivity(page);
  if (st == LRP_OK) st = lrp_page_spectra(page);
  if (st == LRP_OK) st = lrp_page_tensors(page);
  if (st == LRP_OK) st = lrp_page_configurations(page);
  if (st == LRP_OK) lrp_page_provenance(page);
  lrp_page_print(page, "</main>\n");
  return st;
}

static void write_closing(lrp_page *page) {
  lrp_page_print(page, "<footer>Made by lrpipe");
  const char *version = lrp_page_string(page->provenance, "lrpipe");
  if (*version) {
    lrp_page_print(page, " ");
    lrp_markup_text(page->f, version);
  }
  lrp_page_print(page,
                 " from <code>tradeoff.json</code> beside this page, which holds every number in "
                 "full; <code>lrpipe report</code> makes the page anew.</footer>\n</body>\n"
                 "</html>\n");
}

lrp_status lrp_page_write(const json_t *tradeoff, const char *path) {
  lrp_file_writer w = {0};
  lrp_status st = lrp_file_writer_open(&w, path);
  if (st != LRP_OK) return st;
  lrp_page page = page_of(tradeoff, w.stream);
  write_opening(&page, lrp_page_model_name(&page));
  lrp_page_head(&page);
  st = write_sections(&page);
  write_closing(&page);
  if (st == LRP_OK) return lrp_file_writer_commit(&w);
  lrp_file_writer_discard(&w);
  return st;
}

lrp_status lrp_page_renew(const char *output) {
  json_t *all = NULL;
  lrp_status st = lrp_report_read(output, &all);
  char *path = st == LRP_OK ? lrp_path_join(output, "report.html") : NULL;
  if (st == LRP_OK) st = path ? lrp_page_write(all, path) : LRP_ERR_MEM;
  free(path);
  json_decref(all);
  return st;
}
