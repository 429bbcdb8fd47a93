/* Walks lineage: what a thing was made from, or what was made from it, however many pages it takes.
 *
 *   lineage up|down REF [KIND]      (the nodes: CLADE_ENDPOINTS) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <clade.h>

#define PAGE_ITEMS 500

static void print_thing(const struct clade_value *thing)
{
    size_t ref_len;
    size_t state_len;
    const char *ref = clade_value_strn(clade_value_get(thing, "ref"), &ref_len);
    const char *state = clade_value_strn(clade_value_get(thing, "state"), &state_len);
    printf("%llu\t%.*s\t%.*s\n",
           (unsigned long long)clade_value_uint(clade_value_get(thing, "depth")), (int)ref_len, ref,
           (int)state_len, state);
}

/* One page; the cursor of the next is copied, NULL when it was the last. */
static int print_page(struct clade_client *client,
                      const struct clade_lineage *lineage,
                      char **cursor)
{
    const struct clade_read read = {.limit = PAGE_ITEMS, .cursor = *cursor};
    struct clade_response *page = clade_lineage_wait(client, lineage, &read);
    const struct clade_value *things = clade_response_data(page);
    int error = clade_response_code(page);
    if (error != 0) {
        fprintf(stderr, "lineage: %s\n", clade_response_message(page));
    }
    for (size_t i = 0; error == 0 && i < clade_value_len(things); i++) {
        print_thing(clade_value_at(things, i));
    }
    const char *next = error == 0 ? clade_response_cursor(page) : NULL;
    free(*cursor);
    *cursor = next == NULL ? NULL : strdup(next); /* it dies with the response */
    clade_response_free(page);
    return error;
}

int main(int argc, char *argv[])
{
    if (argc < 3 || argc > 4 || (strcmp(argv[1], "up") != 0 && strcmp(argv[1], "down") != 0)) {
        fprintf(stderr, "usage: lineage up|down REF [KIND]\n");
        return 2;
    }
    const char *kinds[] = {argc == 4 ? argv[3] : NULL, NULL};
    const struct clade_options options = {.endpoints = getenv("CLADE_ENDPOINTS")};
    const struct clade_lineage lineage = {
        .ref = argv[2],
        .downstream = strcmp(argv[1], "down") == 0,
        .kinds = argc == 4 ? kinds : NULL,
    };
    struct clade_client *client;
    if (clade_open(&options, &client) != 0) {
        return 1;
    }
    char *cursor = NULL;
    int error;
    do {
        /* Every page is of the first one's revision, whatever is written meanwhile. */
        error = print_page(client, &lineage, &cursor);
    } while (error == 0 && cursor != NULL);
    clade_close(client);
    return error != 0;
}
