//! Python and JSON colouring by syntect, off the drawing path.
