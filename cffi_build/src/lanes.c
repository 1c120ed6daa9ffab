/* lanes.c — what Python calls per message: the two sides of a ring as Python types, without cffi in between.
 *
 *   Producer(WriteLanes)   try_claim(lane) ─▶ view of the slot   commit(lane)    sequence(lane)    try_put(lane, form, …)
 *   Consumer(ReadLanes)    try_peek(lane)  ─▶ view of the slot   release(lane)   sequence(lane)    try_take(lane, form)
 *   Form                   some fields of a layout, read or written in one call: what `struct` does, in a few cache lines of code
 *   Watch(WatchLanes)      unread()        ─▶ which lanes have something
 *   RowsReader(ReadRows)   read(index)     ─▶ view of a consistent copy
 *
 * A call through cffi costs twice as much: it lets go of the interpreter's lock and takes it again, and the look-up of the view
 * was Python. Nothing here waits, so the lock is kept; nothing is allocated but a sequence beyond Python's small integers.
 * Everything else of a ring (opening, meeting, sleeping, batches) is called rarely and stays in shm._native.
 *
 * The types know addresses of lanes and lists of views. shm/ring.py hands them in, and keeps the memory while they are used.
 */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include "ring.h"
#include "seqlock.h"

#include <string.h>

/* A fastcall has another signature than PyCFunction; the flag says which. By way of void: the compiler is told that we know. */
#define FASTCALL(function) ((PyCFunction)(void (*)(void))(function)), METH_FASTCALL

/* A side of a ring without a view of lane i, or with `views[i]`: a list with one view per slot, in slot order. */
typedef struct write_lanes {
    PyObject_HEAD
    ring_producer_lane_t *lane[RING_LANES_MAX]; /* NULL: no such lane, or closed */
    PyObject *views[RING_LANES_MAX];
    uint64_t mask[RING_LANES_MAX];
} write_lanes_t;

typedef struct read_lanes {
    PyObject_HEAD
    ring_consumer_lane_t *lane[RING_LANES_MAX];
    PyObject *views[RING_LANES_MAX];
    uint64_t mask[RING_LANES_MAX];
} read_lanes_t;

/* The number of the lane: the only argument, 0 without one. −1 with an exception set: no such lane. */
static Py_ssize_t lane_of(PyObject *const *arguments, Py_ssize_t count)
{
    if (count == 0)
        return 0;
    if (count > 1) {
        PyErr_SetString(PyExc_TypeError, "one argument at most: the lane");
        return -1;
    }
    const long lane = PyLong_AsLong(arguments[0]);
    if (lane == -1 && PyErr_Occurred())
        return -1;
    if (lane < 0 || lane >= RING_LANES_MAX) {
        PyErr_Format(PyExc_IndexError, "a ring has no lane %ld", lane);
        return -1;
    }
    return lane;
}

static PyObject *no_lane(Py_ssize_t index)
{
    if (!PyErr_Occurred())
        PyErr_Format(PyExc_IndexError, "lane %zd is closed, or the ring never had it", index);
    return NULL;
}

/* The view of message number `sequence`, a new reference. */
static PyObject *view_of(PyObject *views, uint64_t mask, uint64_t sequence)
{
    PyObject *view = views == NULL ? NULL : PyList_GetItem(views, (Py_ssize_t)((sequence - 1) & mask));
    if (view == NULL) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_AssertionError, "a slot was handed out before the two sides met");
        return NULL;
    }
    Py_INCREF(view);
    return view;
}

/* _use(lane, address of the lane, views or None): what `lane` is from now on. */
static PyObject *use(void **lanes, PyObject **all_views, uint64_t *masks, PyObject *arguments)
{
    unsigned int lane;
    unsigned long long address;
    PyObject *views;
    if (!PyArg_ParseTuple(arguments, "IKO", &lane, &address, &views))
        return NULL;
    const Py_ssize_t size = views == Py_None ? 0 : PyList_Size(views);
    if (size < 0)
        return NULL;
    if (lane >= RING_LANES_MAX || (size & (size - 1)) != 0) {
        PyErr_SetString(PyExc_ValueError, "no such lane, or its views are not a power of two");
        return NULL;
    }
    PyObject *old = all_views[lane];
    if (size != 0)
        Py_INCREF(views);
    lanes[lane] = (void *)(uintptr_t)address;
    all_views[lane] = size == 0 ? NULL : views;
    masks[lane] = (uint64_t)size - 1;
    Py_XDECREF(old);
    Py_RETURN_NONE;
}

/* _leave(): no lane may be used from now on. */
static void leave(void **lanes, PyObject **all_views)
{
    for (uint32_t i = 0; i < RING_LANES_MAX; i++) {
        PyObject *old = all_views[i];
        lanes[i] = NULL;
        all_views[i] = NULL;
        Py_XDECREF(old);
    }
}

static void end(PyObject *self, void **lanes, PyObject **all_views)
{
    PyTypeObject *type = Py_TYPE(self);
    leave(lanes, all_views);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type); /* An instance holds its type, as it is not a static one. */
}

/* ---- forms -------------------------------------------------------------------------------------------------- */

#define FORM_FIELDS_MAX 48
#define FORM_SIZE_MAX 1024

/* Letters of `struct`: b h i q signed, B H I Q not, d a double, s as many bytes as its size says. */
typedef struct field {
    uint16_t offset;
    uint16_t size;
    char     code;
} field_t;

typedef struct form {
    PyObject_HEAD
    uint32_t count;
    uint32_t size;                 /* of the whole message */
    int32_t  sequence_at;          /* where the number of the message goes; negative: nowhere */
    field_t  fields[FORM_FIELDS_MAX];
    char     room[FORM_SIZE_MAX];  /* what was packed last */
} form_t;

static PyTypeObject *form_type;

static form_t *form_of(PyObject *object)
{
    if (Py_TYPE(object) == form_type)
        return (form_t *)object;
    PyErr_SetString(PyExc_TypeError, "not a form");
    return NULL;
}

/* Form(size, sequence_at, ((code, offset, size), …)) */
static int form_init(PyObject *self, PyObject *arguments, PyObject *keywords)
{
    form_t *form = (form_t *)self;
    PyObject *fields;
    (void)keywords;
    form->count = 0;
    if (!PyArg_ParseTuple(arguments, "IiO!", &form->size, &form->sequence_at, &PyTuple_Type, &fields))
        return -1;
    const Py_ssize_t count = PyTuple_Size(fields);
    if (count > FORM_FIELDS_MAX || form->size > FORM_SIZE_MAX || form->sequence_at + 8 > (int32_t)form->size) {
        PyErr_SetString(PyExc_ValueError, "too many fields, or too large a message");
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        unsigned int offset, size;
        int code;
        PyObject *field = PyTuple_GetItem(fields, i);
        if (field == NULL || !PyArg_ParseTuple(field, "CII", &code, &offset, &size))
            return -1;
        const char *known = strchr("bBhHiIqQds", code);
        static const uint32_t sizes[] = {1, 1, 2, 2, 4, 4, 8, 8, 8};
        if (known == NULL || offset + size > form->size || (code != 's' && size != sizes[known - "bBhHiIqQds"])) {
            PyErr_SetString(PyExc_ValueError, "a field that no form has");
            return -1;
        }
        form->fields[i] = (field_t){(uint16_t)offset, (uint16_t)size, (char)code};
    }
    form->count = (uint32_t)count;
    return 0;
}

static void form_end(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyObject *number_of(uint64_t value)
{
    return value <= INT64_MAX ? PyLong_FromLong((long)value) : PyLong_FromUnsignedLong(value);
}

/* One field, a new reference. */
static PyObject *read_field(const field_t *field, const char *at)
{
#define READ(type, made) do { type value; memcpy(&value, at, sizeof value); return made(value); } while (0)
    switch (field->code) {
    case 'b': READ(int8_t, PyLong_FromLong);
    case 'B': READ(uint8_t, PyLong_FromLong);
    case 'h': READ(int16_t, PyLong_FromLong);
    case 'H': READ(uint16_t, PyLong_FromLong);
    case 'i': READ(int32_t, PyLong_FromLong);
    case 'I': READ(uint32_t, PyLong_FromLong);
    case 'q': READ(int64_t, PyLong_FromLong);
    case 'Q': READ(uint64_t, number_of);
    case 'd': READ(double, PyFloat_FromDouble);
    default: return PyBytes_FromStringAndSize(at, field->size);
    }
#undef READ
}

/* (fields, behind `first` if there is one), a new reference. */
static PyObject *read_form(const form_t *form, const char *message, PyObject *first)
{
    Py_ssize_t place = first != NULL;
    PyObject *all = PyTuple_New(place + form->count);
    if (all == NULL)
        return NULL;
    if (first != NULL) {
        Py_INCREF(first);
        PyTuple_SetItem(all, 0, first);
    }
    for (uint32_t i = 0; i < form->count; i++) {
        PyObject *value = read_field(&form->fields[i], message + form->fields[i].offset);
        if (value == NULL) {
            Py_DECREF(all);
            return NULL;
        }
        PyTuple_SetItem(all, place++, value);
    }
    return all;
}

_Static_assert(sizeof(long) == 8, "PyLong_AsLong reads 64 bits: a quarter of the instructions of PyLong_AsLongLong");

static int misfit(const field_t *field)
{
    if (!PyErr_Occurred())
        PyErr_Format(PyExc_OverflowError, "a value that does not fit the field of %d bytes at %d", field->size, field->offset);
    return -1;
}

static int write_field(const field_t *field, char *at, PyObject *value)
{
    if (field->code == 's') {
        char *bytes;
        Py_ssize_t size;
        if (PyBytes_AsStringAndSize(value, &bytes, &size) != 0)
            return -1;
        if (size > field->size)
            return misfit(field);
        memcpy(at, bytes, (size_t)size);
        return 0;
    }
    if (field->code == 'd') {
        const double number = PyFloat_AsDouble(value);
        if (number == -1.0 && PyErr_Occurred())
            return -1;
        memcpy(at, &number, 8);
        return 0;
    }
    if (field->code == 'Q') {
        const uint64_t number = PyLong_AsUnsignedLong(value);
        if (number == UINT64_MAX && PyErr_Occurred())
            return -1;
        memcpy(at, &number, 8);
        return 0;
    }
    const int64_t number = PyLong_AsLong(value);
    if (number == -1 && PyErr_Occurred())
        return -1;
    if (field->size < 8) {
        const int bits = 8 * field->size;
        const int is_signed = field->code >= 'a';
        const int64_t least = is_signed ? -((int64_t)1 << (bits - 1)) : 0;
        const int64_t most = ((int64_t)1 << (bits - is_signed)) - 1;
        if (number < least || number > most)
            return misfit(field);
    }
    memcpy(at, &number, field->size);
    return 0;
}

/* Writes a whole message into the form's room: what no field says is 0. */
static int pack_form(form_t *form, PyObject *const *values, Py_ssize_t count)
{
    if (count != form->count) {
        PyErr_Format(PyExc_TypeError, "%zd values for a form of %u fields", count, form->count);
        return -1;
    }
    memset(form->room, 0, form->size);
    for (uint32_t i = 0; i < form->count; i++)
        if (write_field(&form->fields[i], form->room + form->fields[i].offset, values[i]) != 0)
            return -1;
    return 0;
}

static PyObject *form_read(PyObject *self, PyObject *address)
{
    const char *message = PyLong_AsVoidPtr(address);
    if (message == NULL) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "no message lies at 0");
        return NULL;
    }
    return read_form((form_t *)self, message, NULL);
}

static PyObject *form_pack(PyObject *self, PyObject *const *values, Py_ssize_t count)
{
    if (pack_form((form_t *)self, values, count) != 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *form_put(PyObject *self, PyObject *address)
{
    char *message = PyLong_AsVoidPtr(address);
    if (message == NULL) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "no message lies at 0");
        return NULL;
    }
    memcpy(message, ((form_t *)self)->room, ((form_t *)self)->size);
    Py_RETURN_NONE;
}

/* ---- the writing side --------------------------------------------------------------------------------------- */

static PyObject *write_use(PyObject *self, PyObject *arguments)
{
    write_lanes_t *side = (write_lanes_t *)self;
    return use((void **)side->lane, side->views, side->mask, arguments);
}

static PyObject *write_leave(PyObject *self, PyObject *nothing)
{
    (void)nothing;
    leave((void **)((write_lanes_t *)self)->lane, ((write_lanes_t *)self)->views);
    Py_RETURN_NONE;
}

static void write_end(PyObject *self)
{
    end(self, (void **)((write_lanes_t *)self)->lane, ((write_lanes_t *)self)->views);
}

static PyObject *write_try_claim(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    write_lanes_t *side = (write_lanes_t *)self;
    const Py_ssize_t index = lane_of(arguments, count);
    ring_producer_lane_t *lane = index < 0 ? NULL : side->lane[index];
    if (lane == NULL)
        return no_lane(index);
    if (ring_claim(lane, 1) == 0)
        Py_RETURN_NONE;
    return view_of(side->views[index], side->mask[index], ring_claimed(lane));
}

static PyObject *write_commit(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    const Py_ssize_t index = lane_of(arguments, count);
    ring_producer_lane_t *lane = index < 0 ? NULL : ((write_lanes_t *)self)->lane[index];
    if (lane == NULL)
        return no_lane(index);
    ring_commit_all(lane);
    Py_RETURN_NONE;
}

static PyObject *write_sequence(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    const Py_ssize_t index = lane_of(arguments, count);
    const ring_producer_lane_t *lane = index < 0 ? NULL : ((write_lanes_t *)self)->lane[index];
    return lane == NULL ? no_lane(index) : PyLong_FromUnsignedLongLong(ring_claimed(lane));
}

/* try_put(lane, form, *values) */
static PyObject *write_try_put(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    write_lanes_t *side = (write_lanes_t *)self;
    if (count < 2) {
        PyErr_SetString(PyExc_TypeError, "a lane, a form and its values");
        return NULL;
    }
    const Py_ssize_t index = lane_of(arguments, 1);
    ring_producer_lane_t *lane = index < 0 ? NULL : side->lane[index];
    if (lane == NULL)
        return no_lane(index);
    form_t *form = form_of(arguments[1]);
    if (form == NULL || pack_form(form, arguments + 2, count - 2) != 0)
        return NULL;
    if (ring_claim(lane, 1) == 0)
        return PyLong_FromLong(0);
    const uint64_t sequence = ring_claimed(lane);
    if (form->sequence_at >= 0)
        memcpy(form->room + form->sequence_at, &sequence, 8);
    memcpy(ring_producer_slot(lane, sequence), form->room, form->size);
    return PyLong_FromUnsignedLongLong(sequence);
}

static PyMethodDef write_methods[] = {
    {"try_claim", FASTCALL(write_try_claim),
     "The view of the next free slot; None: full, or nobody is attached. Fill every field, then `commit()`."},
    {"commit", FASTCALL(write_commit), "Publishes everything claimed on that lane and wakes the consumer if it sleeps."},
    {"sequence", FASTCALL(write_sequence), "The number of the slot claimed last: what belongs into its header."},
    {"try_put", FASTCALL(write_try_put),
     "Fills the next free slot by a form, its number included, and returns that number; 0: full. Then `commit()`."},
    {"_use", write_use, METH_VARARGS, "What a lane is from now on: its address, the views of its slots."},
    {"_leave", write_leave, METH_NOARGS, "No lane may be used from now on."},
    {NULL, NULL, 0, NULL},
};

/* ---- the reading side --------------------------------------------------------------------------------------- */

static PyObject *read_use(PyObject *self, PyObject *arguments)
{
    read_lanes_t *side = (read_lanes_t *)self;
    return use((void **)side->lane, side->views, side->mask, arguments);
}

static PyObject *read_leave(PyObject *self, PyObject *nothing)
{
    (void)nothing;
    leave((void **)((read_lanes_t *)self)->lane, ((read_lanes_t *)self)->views);
    Py_RETURN_NONE;
}

static void read_end(PyObject *self)
{
    end(self, (void **)((read_lanes_t *)self)->lane, ((read_lanes_t *)self)->views);
}

static PyObject *read_try_peek(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    read_lanes_t *side = (read_lanes_t *)self;
    const Py_ssize_t index = lane_of(arguments, count);
    ring_consumer_lane_t *lane = index < 0 ? NULL : side->lane[index];
    if (lane == NULL)
        return no_lane(index);
    if (ring_peek(lane, 1) == 0) {
        if (!ring_may_switch(lane))
            Py_RETURN_NONE;
        /* The dead producer's lane is dry: Python goes over to its successor, whose slots need views of their own. */
        return PyObject_CallMethod(self, "_peek_successor", "n", index);
    }
    return view_of(side->views[index], side->mask[index], ring_peeked(lane));
}

static PyObject *read_release(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    const Py_ssize_t index = lane_of(arguments, count);
    ring_consumer_lane_t *lane = index < 0 ? NULL : ((read_lanes_t *)self)->lane[index];
    if (lane == NULL)
        return no_lane(index);
    ring_release_all(lane);
    Py_RETURN_NONE;
}

static PyObject *read_sequence(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    const Py_ssize_t index = lane_of(arguments, count);
    const ring_consumer_lane_t *lane = index < 0 ? NULL : ((read_lanes_t *)self)->lane[index];
    return lane == NULL ? no_lane(index) : PyLong_FromUnsignedLongLong(ring_peeked(lane));
}

/* try_take(lane, form) */
static PyObject *read_try_take(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    read_lanes_t *side = (read_lanes_t *)self;
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "a lane and a form");
        return NULL;
    }
    const Py_ssize_t index = lane_of(arguments, 1);
    const form_t *form = form_of(arguments[1]);
    if (form == NULL)
        return NULL;
    PyObject *view = read_try_peek(self, arguments, 1);
    if (view == NULL || Py_IsNone(view))
        return view;
    PyObject *all = read_form(form, ring_consumer_slot(side->lane[index], ring_peeked(side->lane[index])), view);
    Py_DECREF(view);
    return all;
}

static PyMethodDef read_methods[] = {
    {"try_peek", FASTCALL(read_try_peek),
     "The view of the next unread message, in place; None: nothing there. Its bytes stay until `release()`."},
    {"release", FASTCALL(read_release),
     "Gives everything handed out on that lane back to the producer: it will not be seen again."},
    {"sequence", FASTCALL(read_sequence), "The number of the message handed out last."},
    {"try_take", FASTCALL(read_try_take), "As `try_peek()`: a tuple of the view and what the form reads there; None: nothing."},
    {"_use", read_use, METH_VARARGS, "What a lane is from now on: its address, the views of its slots."},
    {"_leave", read_leave, METH_NOARGS, "No lane may be used from now on."},
    {NULL, NULL, 0, NULL},
};

/* ---- watching ----------------------------------------------------------------------------------------------- */

typedef struct watch_lanes {
    PyObject_HEAD
    const ring_watch_t *watch;
} watch_lanes_t;

static PyObject *watch_use(PyObject *self, PyObject *address)
{
    ((watch_lanes_t *)self)->watch = PyLong_AsVoidPtr(address);
    if (PyErr_Occurred())
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *watch_unread(PyObject *self, PyObject *nothing)
{
    (void)nothing;
    const ring_watch_t *watch = ((watch_lanes_t *)self)->watch;
    return PyLong_FromUnsignedLongLong(watch == NULL ? 0 : ring_unread(watch));
}

/* ---- rows --------------------------------------------------------------------------------------------------- */

typedef struct read_rows {
    PyObject_HEAD
    const seqlock_row_t *rows;
    PyObject *views;               /* a list with one view per row */
} read_rows_t;

/* _use(address of the first row, views) */
static PyObject *rows_use(PyObject *self, PyObject *arguments)
{
    read_rows_t *side = (read_rows_t *)self;
    unsigned long long address;
    PyObject *views, *old = side->views;
    if (!PyArg_ParseTuple(arguments, "KO!", &address, &PyList_Type, &views))
        return NULL;
    Py_INCREF(views);
    side->rows = (const seqlock_row_t *)(uintptr_t)address;
    side->views = views;
    Py_XDECREF(old);
    Py_RETURN_NONE;
}

static PyObject *rows_read(PyObject *self, PyObject *number)
{
    const read_rows_t *side = (const read_rows_t *)self;
    const Py_ssize_t index = PyLong_AsSsize_t(number);
    if (index == -1 && PyErr_Occurred())
        return NULL;
    PyObject *view = side->views == NULL ? NULL : PyList_GetItem(side->views, index);
    if (view == NULL) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_AssertionError, "the rows are not there yet");
        return NULL;
    }
    if (seqlock_load_row(side->rows + index) != 0) {
        PyObject *noted = PyObject_CallMethod(self, "_note_torn", NULL);
        if (noted == NULL)
            return NULL;
        Py_DECREF(noted);
    }
    Py_INCREF(view);
    return view;
}

static void rows_end(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(((read_rows_t *)self)->views);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

/* ---- the module --------------------------------------------------------------------------------------------- */

static PyType_Slot write_slots[] = {
    {Py_tp_doc, "The lanes of a ring's writing side, message by message."},
    {Py_tp_methods, write_methods},
    {Py_tp_dealloc, write_end},
    {0, NULL},
};
static PyType_Slot read_slots[] = {
    {Py_tp_doc, "The lanes of a ring's reading side, message by message."},
    {Py_tp_methods, read_methods},
    {Py_tp_dealloc, read_end},
    {0, NULL},
};
static PyType_Spec write_spec = {"shm._lanes.WriteLanes", sizeof(write_lanes_t), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
                                 write_slots};
static PyType_Spec read_spec = {"shm._lanes.ReadLanes", sizeof(read_lanes_t), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
                                read_slots};

static PyMethodDef form_methods[] = {
    {"read", form_read, METH_O, "The fields of the message at an address."},
    {"pack", FASTCALL(form_pack), "Writes a message of these values into the form's own room."},
    {"put", form_put, METH_O, "Copies what was packed last to an address."},
    {NULL, NULL, 0, NULL},
};
static PyMethodDef watch_methods[] = {
    {"unread", watch_unread, METH_NOARGS, "Bit i: lane i of the list has something to read."},
    {"_use", watch_use, METH_O, "The address of the ring_watch_t."},
    {NULL, NULL, 0, NULL},
};
static PyMethodDef rows_methods[] = {
    {"read", rows_read, METH_O, "A consistent copy of the row; the same view every time."},
    {"_use", rows_use, METH_VARARGS, "Where the rows are, and the view of each copy."},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot form_slots[] = {
    {Py_tp_doc, "Some fields of a layout, read or written in one call."},
    {Py_tp_methods, form_methods},
    {Py_tp_init, form_init},
    {Py_tp_dealloc, form_end},
    {0, NULL},
};
static PyType_Slot watch_slots[] = {
    {Py_tp_doc, "Several lanes, looked at in one call."},
    {Py_tp_methods, watch_methods},
    {Py_tp_dealloc, form_end},
    {0, NULL},
};
static PyType_Slot rows_slots[] = {
    {Py_tp_doc, "Rows that somebody else writes, read one by one."},
    {Py_tp_methods, rows_methods},
    {Py_tp_dealloc, rows_end},
    {0, NULL},
};
static PyType_Spec form_spec = {"shm._lanes.Form", sizeof(form_t), 0, Py_TPFLAGS_DEFAULT, form_slots};
static PyType_Spec watch_spec = {"shm._lanes.WatchLanes", sizeof(watch_lanes_t), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
                                 watch_slots};
static PyType_Spec rows_spec = {"shm._lanes.ReadRows", sizeof(read_rows_t), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
                                rows_slots};

static int fill(PyObject *module)
{
    static const struct {
        const char *name;
        PyType_Spec *spec;
    } types[] = {
        {"WriteLanes", &write_spec}, {"ReadLanes", &read_spec}, {"Form", &form_spec}, {"WatchLanes", &watch_spec},
        {"ReadRows", &rows_spec},
    };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        PyObject *type = PyType_FromSpec(types[i].spec);
        if (type == NULL || PyModule_AddObjectRef(module, types[i].name, type) != 0) {
            Py_XDECREF(type);
            return -1;
        }
        if (types[i].spec == &form_spec)
            form_type = (PyTypeObject *)type; /* Kept for ever: a form is recognised by it. */
        else
            Py_DECREF(type);
    }
    return 0;
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, fill}, {0, NULL}};
static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_lanes", "The two sides of a ring, message by message.", 0, NULL, module_slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__lanes(void)
{
    return PyModuleDef_Init(&module);
}
