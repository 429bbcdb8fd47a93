/* The YAML settings file: any bytes give settings or an error, and settings that were taken print
 * as a file that is taken again. */
#include <stdlib.h>

#include "base/check.h"
#include "node/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct config c;
    static struct config again;
    struct error e = {.code = 0};
    config_init(&c);
    if (config_set_yaml(&c, span_make(data, size), "fuzz", &e) != 0) {
        CHECK(e.code != 0 && e.message[0] != 0);
        return 0;
    }
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    CHECK(f != NULL);
    config_print(&c, f);
    CHECK(fclose(f) == 0);
    config_init(&again);
    CHECK(config_set_yaml(&again, span_make(text, len), "again", &e) == 0);
    free(text);
    return 0;
}
