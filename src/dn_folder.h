/*
** A folder of folders of images as an index: which images there are and of which class, found by
** listing folders alone, so that no image is opened.
**
** Folders in `root` are the classes, in the order of their names' bytes; the images of a class are
** all that lie in its folder or deeper, in the order of their paths' bytes. A million names are one
** block of memory, which any number of threads read at once.
*/
#ifndef DN_FOLDER_H
#define DN_FOLDER_H

#include "dn_directory.h"

typedef struct dn_folder {
  dn_tensor names;   /* byte: each image's path below the root, "class/0.jpg", and a zero byte */
  dn_tensor offsets; /* long, n_images: where in `names` an image's path begins, from 0 */
  dn_tensor bounds;  /* long, n_classes + 1: class c has images bounds[c] .. bounds[c+1]-1 */
  dn_tensor classes; /* byte: each class's name and a zero byte */
  dn_tensor folders; /* byte: each folder that was listed, "" being the root, and a zero byte */
  dn_tensor times;   /* long, n_folders,2: as dn_folder_times gives them, from before the listing */
} dn_folder;

/*
** Lists everything below `root`. An image is what is no folder and whose name ends in .jpg, .jpeg,
** .png, .ppm, .pgm or .bmp, in any case; names that begin with a dot, and other files, are passed
** over. Links to folders are followed, each folder once in a class. A class may come without images, as all do
** with classes_only, which lists the root alone.
** Writes *folder only on success; free it then. DN_EIO, which names the folder that cannot be listed;
** DN_ENOMEM.
*/
dn_status dn_folder_scan(const char *root, bool classes_only, dn_folder *folder);

/* Gives the tensors back; idempotent. */
void dn_folder_free(dn_folder *folder);

/*
** times: when names in the folder last changed, and when the folder itself did, which no program can
** set back; in nanoseconds since 1970. DN_EIO.
*/
dn_status dn_folder_times(const char *path, int64_t times[2]);

#endif
