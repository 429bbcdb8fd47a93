/* From many threads to one loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "node/mailbox.h"

#define SENDERS 4
#define LETTERS 5000

struct letter {
    struct mail mail;
    unsigned sender;
    unsigned number;
};

struct inbox {
    struct mailbox mailbox;
    unsigned next[SENDERS];
    unsigned received;
    bool in_order;
};

static void deliver(struct mail *mail, void *owner)
{
    struct inbox *in = owner;
    struct letter *l = LIST_ENTRY(mail, struct letter, mail);
    in->in_order = in->in_order && in->next[l->sender] == l->number;
    in->next[l->sender]++;
    if (++in->received == SENDERS * LETTERS) {
        mailbox_close(&in->mailbox);
    }
    free(l);
}

struct sender {
    struct inbox *to;
    unsigned number;
    pthread_t thread;
};

static bool send_one(struct inbox *to, unsigned sender, unsigned number)
{
    struct letter *l = malloc(sizeof *l);
    *l = (struct letter){.mail.deliver = deliver, .sender = sender, .number = number};
    if (!mailbox_post(&to->mailbox, &l->mail.node)) {
        free(l);
        return false;
    }
    return true;
}

static void *run_sender(void *arg)
{
    struct sender *s = arg;
    for (unsigned i = 0; i < LETTERS; i++) {
        (void)send_one(s->to, s->number, i);
    }
    return NULL;
}

static void open_inbox(struct inbox *in, uv_loop_t *loop)
{
    *in = (struct inbox){.in_order = true};
    assert_int_equal(uv_loop_init(loop), 0);
    assert_int_equal(mailbox_open(&in->mailbox, loop, mail_deliver_all, in), 0);
}

static void close_inbox(struct inbox *in, uv_loop_t *loop)
{
    assert_int_equal(uv_run(loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(loop), 0);
    mailbox_release(&in->mailbox);
}

static void every_letter_of_every_thread_arrives_once_and_in_its_order(void **state)
{
    uv_loop_t loop;
    struct inbox in;
    struct sender senders[SENDERS];
    open_inbox(&in, &loop);
    for (unsigned i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){.to = &in, .number = i};
        assert_int_equal(pthread_create(&senders[i].thread, NULL, run_sender, &senders[i]), 0);
    }
    close_inbox(&in, &loop);
    for (unsigned i = 0; i < SENDERS; i++) {
        pthread_join(senders[i].thread, NULL);
    }
    assert_int_equal(in.received, SENDERS * LETTERS);
    assert_true(in.in_order);
}

static void closing_delivers_what_is_there_and_takes_no_more(void **state)
{
    uv_loop_t loop;
    struct inbox in;
    open_inbox(&in, &loop);
    assert_true(send_one(&in, 0, 0));
    assert_true(send_one(&in, 0, 1));
    mailbox_close(&in.mailbox);
    mailbox_close(&in.mailbox);
    assert_int_equal(in.received, 2);
    assert_false(send_one(&in, 0, 2));
    close_inbox(&in, &loop);
    assert_int_equal(in.received, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_letter_of_every_thread_arrives_once_and_in_its_order),
        cmocka_unit_test(closing_delivers_what_is_there_and_takes_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
