"""``evaluate pack``: from an author's checkpoint to an artifact of a named kind that fits the byte cap.

:mod:`.recipes` says which quantiser and which format family each kind is; :mod:`.checkpoint` reads the weights in the
jail; :mod:`.calibration` shows training tokens to the model where a quantiser wants them; :mod:`.assembly` quantises;
:mod:`.cap` gives up bits, then small weights, until the file fits; :mod:`.writing` writes it; :mod:`.groups` and
:mod:`.loss` say what became of the bytes and of the score; :mod:`.command` does all of it.
"""
