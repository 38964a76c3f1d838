/*
** The roles of dn_ops.def as a plan backend reports them, defined anew for each use of that file. In the
** definition of DN_OP, DN_PLAN_REPORT(operation, roles) tells every recorder of the thread (dn_plan.h)
** what the call does to which storage, and returns DN_ENOMEM to the caller of the slot.
*/
#define WRITTEN(name) DN_TRY(dn_plan_touch(name, DN_PLAN_WRITTEN));
#define WRITTEN_IF(name) WRITTEN(name)
#define ADDED(name) DN_TRY(dn_plan_touch(name, DN_PLAN_ADDED));
#define ADDED_IF(name) ADDED(name)
#define READ(name) DN_TRY(dn_plan_touch(name, DN_PLAN_READ));
#define READ_IF(name) READ(name)
#define SLOT(name) DN_TRY(dn_plan_touch(name.at, DN_PLAN_READ));
#define SLOT_IF(name) SLOT(name)
#define SGD(name) SLOT(name.learning_rate)
