/* clade_man FOLDER: writes the manual pages of the command line into man1, man5 and man7 there. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/man.h"

static FILE *open_page(const char *folder, const char *name, int section)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/man%d", folder, section);
    if (mkdir(path, 0777) != 0 && errno != EEXIST) {
        perror(path);
        exit(1);
    }
    (void)snprintf(path, sizeof path, "%s/man%d/%s.%d", folder, section, name, section);
    FILE *page = fopen(path, "w");
    if (page == NULL) {
        perror(path);
        exit(1);
    }
    return page;
}

static void close_page(FILE *page)
{
    if (fclose(page) != 0) {
        perror("clade_man");
        exit(1);
    }
}

int main(int argc, char *argv[])
{
    static const struct {
        const char *name;
        int section;
        void (*write)(FILE *);
    } pages[] = {{"clade", 1, man_clade},
                 {"clade-config", 5, man_config},
                 {"clade-concepts", 7, man_concepts}};
    if (argc != 2) {
        (void)fputs("usage: clade_man FOLDER\n", stderr);
        return 2;
    }
    if (mkdir(argv[1], 0777) != 0 && errno != EEXIST) {
        perror(argv[1]);
        return 1;
    }
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
        FILE *page = open_page(argv[1], pages[i].name, pages[i].section);
        pages[i].write(page);
        close_page(page);
    }
    for (size_t i = 0; i < commands_len; i++) {
        char name[MAN_NAME_BYTES];
        man_name(&commands[i], name);
        FILE *page = open_page(argv[1], name, 1);
        man_command(page, &commands[i]);
        close_page(page);
    }
    return 0;
}
