/* lanes.c — what Python calls per message: the two sides of a ring as Python types, without cffi in between.
 *
 *   Producer(WriteLanes)   try_claim(lane) ─▶ view of the slot   commit(lane)    sequence(lane)
 *   Consumer(ReadLanes)    try_peek(lane)  ─▶ view of the slot   release(lane)   sequence(lane)
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

/* A fastcall has another signature than PyCFunction; the flag says which. By way of void: the compiler is told that we know. */
#define FASTCALL(function) ((PyCFunction)(void (*)(void))(function)), METH_FASTCALL

static PyMethodDef write_methods[] = {
    {"try_claim", FASTCALL(write_try_claim),
     "The view of the next free slot; None: full, or nobody is attached. Fill every field, then `commit()`."},
    {"commit", FASTCALL(write_commit), "Publishes everything claimed on that lane and wakes the consumer if it sleeps."},
    {"sequence", FASTCALL(write_sequence), "The number of the slot claimed last: what belongs into its header."},
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

static PyMethodDef read_methods[] = {
    {"try_peek", FASTCALL(read_try_peek),
     "The view of the next unread message, in place; None: nothing there. Its bytes stay until `release()`."},
    {"release", FASTCALL(read_release),
     "Gives everything handed out on that lane back to the producer: it will not be seen again."},
    {"sequence", FASTCALL(read_sequence), "The number of the message handed out last."},
    {"_use", read_use, METH_VARARGS, "What a lane is from now on: its address, the views of its slots."},
    {"_leave", read_leave, METH_NOARGS, "No lane may be used from now on."},
    {NULL, NULL, 0, NULL},
};

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

static int fill(PyObject *module)
{
    PyObject *write_type = PyType_FromSpec(&write_spec), *read_type = PyType_FromSpec(&read_spec);
    int result = write_type == NULL || read_type == NULL ? -1 : PyModule_AddObjectRef(module, "WriteLanes", write_type);
    if (result == 0)
        result = PyModule_AddObjectRef(module, "ReadLanes", read_type);
    Py_XDECREF(write_type);
    Py_XDECREF(read_type);
    return result;
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, fill}, {0, NULL}};
static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_lanes", "The two sides of a ring, message by message.", 0, NULL, module_slots, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__lanes(void)
{
    return PyModuleDef_Init(&module);
}
